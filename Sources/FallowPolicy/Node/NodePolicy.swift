public import FallowModel
public import FallowWire

/// What one node may lend and what has to go back: pure, with the time as an argument.
///
/// The agent tells it what happens (`on…`) and carries out the revocations that it returns; the simulator does the same
/// on a virtual clock. Nothing is lent before Slurm's view has been heard once, nor while it is too old.
public struct NodePolicy: Sendable {
    public internal(set) var rules: NodeRules
    public internal(set) var jobs: [JobID: JobOnNode] = [:]
    public internal(set) var leases: [LeaseID: StandingLease] = [:]
    /// Cores on which something of ours did not die: not lent until it did.
    public internal(set) var withheld: AbstractCoreSet = AbstractCoreSet()
    /// Whether abstract cores are known to be certain CPUs of the machine.
    public var coresAreMapped: Bool
    var view: SlurmNodeView?
    /// Jobs whose end the plugin told, and when: an older view of Slurm's does not bring them back.
    var ended: [JobID: Timestamp] = [:]

    /// A lease that stands on the node.
    public struct StandingLease: Sendable, Hashable {
        public var placement: Placement
        public var user: UserID
        public var startedAt: Timestamp
        public var termEnds: Timestamp
    }

    public init(rules: NodeRules) {
        self.rules = rules
        coresAreMapped = rules.coresAreLogical
    }

    // MARK: What is there

    /// Cores that some job holds.
    public var allocatedCores: AbstractCoreSet { jobs.values.reduce(AbstractCoreSet()) { $0.union($1.cores) } }
    /// Memory that jobs hold.
    public var allocatedMemory: ByteCount { jobs.values.reduce(.zero) { $0 + $1.memory } }
    /// Cores on which leases stand.
    public var leasedCores: AbstractCoreSet {
        leases.values.reduce(AbstractCoreSet()) { $0.union($1.placement.cores) }
    }

    /// Why nothing at all may be lent at `now`; nil when something may.
    public func standstill(at now: Timestamp) -> String? {
        guard rules.switches.unallocated || rules.switches.lent else {
            return "lending is switched off (lend.unallocated and lend.lent; see fallow enable)"
        }
        guard let view else { return "Slurm's view of this node has not been heard yet" }
        if now - view.at > rules.viewMaximumAge {
            return "Slurm's view of this node is \(Int((now - view.at).inSeconds)) s old"
        }
        if !view.mayLend { return "Slurm says \(view.state)" }
        return nil
    }

    // MARK: Leases

    /// Finds room for a lease and takes it. Unallocated leftovers go first, then one job's.
    ///
    /// - Throws: `NoRoom` with what there is.
    public mutating func open(
        _ leaseID: LeaseID, user: UserID, cores: Int, memory: ByteCount, termEnds: Timestamp, now: Timestamp
    ) throws(NoRoom) -> Placement {
        if let standstill = standstill(at: now) { throw NoRoom(standstill) }
        guard leases[leaseID] == nil else { throw NoRoom("lease \(leaseID) stands here already") }
        let pools = pools(at: now)
        guard let corePool = pools.first(where: { $0.freeCores.count >= cores }) else {
            let most = pools.map(\.freeCores.count).max() ?? 0
            throw NoRoom("\(cores) cores were asked for; \(most) are free to lend in one place")
        }
        guard
            let memoryPool = pools.first(where: { $0.job == nil && $0.freeMemory >= memory })
                ?? pools.first(where: { $0.job == corePool.job && $0.freeMemory >= memory })
                ?? pools.first(where: { $0.freeMemory >= memory })
        else {
            let most = pools.map(\.freeMemory).max() ?? .zero
            throw NoRoom("\(memory) of memory was asked for; \(most) is free to lend in one place")
        }
        let placement = Placement(
            cores: AbstractCoreSet(Array(corePool.freeCores).suffix(cores)), memory: memory,
            coresBeneath: corePool.job, memoryBeneath: memoryPool.job)
        leases[leaseID] = StandingLease(placement: placement, user: user, startedAt: now, termEnds: termEnds)
        return placement
    }

    /// A lease is gone from the node; its cores are free, but for those withheld because something did not die.
    public mutating func close(_ leaseID: LeaseID, stuck: Bool = false) {
        guard let lease = leases.removeValue(forKey: leaseID) else { return }
        if stuck { withheld = withheld.union(lease.placement.cores) }
    }

    /// What did not die is dead now.
    public mutating func releaseWithheld() { withheld = AbstractCoreSet() }

    /// A lease's term was changed by a new grant.
    public mutating func renew(_ leaseID: LeaseID, termEnds: Timestamp) { leases[leaseID]?.termEnds = termEnds }

    /// What could be leased at `now`: all cores that are free, and the most memory that one lease could have.
    public func offer(at now: Timestamp) -> Offer {
        guard standstill(at: now) == nil else { return Offer() }
        let pools = pools(at: now)
        return Offer(
            cores: pools.map(\.freeCores.count).reduce(0, +),
            memory: pools.map(\.freeMemory).reduce(.zero, +))
    }

    /// What could be leased beneath one job at `now`, leases that stand there included.
    public func lending(of jobID: JobID, at now: Timestamp) -> Offer {
        guard let pool = pools(at: now).first(where: { $0.job == jobID }) else { return Offer() }
        return Offer(cores: pool.cores.count, memory: pool.memory)
    }
}
