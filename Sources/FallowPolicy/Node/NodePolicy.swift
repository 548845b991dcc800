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
    /// Where those things stood, their memory included.
    var withheldPlacements: [Placement] = []
    /// Leases that are over and whose memory is being freed: not lent again before it is.
    var reclaiming: [LeaseID: Placement] = [:]
    /// Whether abstract cores are known to be certain CPUs of the machine. Refuted, it tells of no lease where it runs.
    public var coresAreMapped: Bool {
        didSet {
            guard !coresAreMapped else { return }
            for id in leases.keys { leases[id]?.isPinned = false }
        }
    }
    var view: SlurmNodeView?
    /// When `view` was first heard, by this node's clock.
    var viewHeardAt: Timestamp?
    /// Jobs whose end the plugin told, and when: an older view of Slurm's does not bring them back.
    var ended: [JobID: Timestamp] = [:]

    // What follows from jobs, leases and rules; see `recount` and `open`.
    var allCores: AbstractCoreSet
    /// Cores that two jobs or more hold.
    var sharedCores = AbstractCoreSet()
    /// Cores that some job holds.
    public internal(set) var allocatedCores = AbstractCoreSet()
    /// Memory that jobs hold.
    public internal(set) var allocatedMemory = ByteCount.zero
    /// Cores on which leases stand.
    public private(set) var leasedCores = AbstractCoreSet()

    /// A lease that stands on the node.
    public struct StandingLease: Sendable, Hashable {
        public var placement: Placement
        public var user: UserID
        public var startedAt: Timestamp
        public var termEnds: Timestamp
        /// Whether its cores were known to be certain CPUs when it was opened; else it may run on any.
        public var isPinned: Bool
    }

    public init(rules: NodeRules) {
        self.rules = rules
        coresAreMapped = rules.coresAreLogical
        allCores = rules.allCores
    }

    /// Counts anew what jobs hold; after each change of `jobs` or `rules`.
    mutating func recount() {
        if allCores.count != rules.cores { allCores = rules.allCores }
        allocatedCores = AbstractCoreSet()
        sharedCores = AbstractCoreSet()
        allocatedMemory = .zero
        for job in jobs.values {
            sharedCores = sharedCores.union(allocatedCores.intersection(job.cores))
            allocatedCores = allocatedCores.union(job.cores)
            allocatedMemory += job.memory
        }
    }

    /// Why nothing at all may be lent at `now`; nil when something may.
    public func standstill(at now: Timestamp) -> String? {
        guard rules.switches.unallocated || rules.switches.lent else {
            return "lending is switched off (lend.unallocated and lend.lent; see fallow enable)"
        }
        guard let view else { return "Slurm's view of this node has not been heard yet" }
        if view.at > now + rules.clockMargin {
            return "the clock of Slurm's view is \(Int((view.at - now).inSeconds)) s ahead of this node's"
        }
        let age = viewAge(at: now)
        if age > rules.viewMaximumAge { return "Slurm's view of this node is \(Int(age.inSeconds)) s old" }
        if !view.mayLend { return "Slurm says \(view.state)" }
        return nil
    }

    /// How old the view is, by its own time or by when it was heard, whichever is longer ago.
    func viewAge(at now: Timestamp) -> Duration {
        guard let view else { return .zero }
        return max(now - view.at, now - (viewHeardAt ?? view.at))
    }

    // MARK: Leases

    /// Finds room for a lease and takes it. Unallocated leftovers go first, then one job's.
    ///
    /// - Throws: `NoRoom` with what there is.
    public mutating func open(
        _ leaseID: LeaseID, user: UserID, cores: Int, memory: ByteCount, termEnds: Timestamp, now: Timestamp
    ) throws(NoRoom) -> Placement {
        guard cores >= 0, memory >= .zero else { throw NoRoom("\(cores) cores and \(memory) are no demand") }
        try checkMayOpen(leaseID, termEnds: termEnds, now: now)
        let free = freePools(at: now)
        guard let corePool = free.first(where: { $0.cores.count >= cores }) else {
            let most = free.map(\.cores.count).max() ?? 0
            throw NoRoom("\(cores) cores were asked for; \(most) are free to lend in one place")
        }
        guard
            let memoryPool = free.first(where: { $0.job == nil && $0.memory >= memory })
                ?? free.first(where: { $0.job == corePool.job && $0.memory >= memory })
                ?? free.first(where: { $0.memory >= memory })
        else {
            let most = free.map(\.memory).max() ?? .zero
            throw NoRoom("\(memory) of memory was asked for; \(most) is free to lend in one place")
        }
        let placement = Placement(
            cores: AbstractCoreSet(Array(corePool.cores).suffix(cores)), memory: memory,
            coresBeneath: corePool.job, memoryBeneath: memoryPool.job)
        take(placement, for: leaseID, user: user, termEnds: termEnds, now: now)
        return placement
    }

    func checkMayOpen(_ leaseID: LeaseID, termEnds: Timestamp, now: Timestamp) throws(NoRoom) {
        if let standstill = standstill(at: now) { throw NoRoom(standstill) }
        guard leases[leaseID] == nil else { throw NoRoom("lease \(leaseID) stands here already") }
        guard termEnds > now else { throw NoRoom("the term of lease \(leaseID) is over") }
    }

    mutating func take(
        _ placement: Placement, for leaseID: LeaseID, user: UserID, termEnds: Timestamp, now: Timestamp
    ) {
        leases[leaseID] = StandingLease(
            placement: placement, user: user, startedAt: now, termEnds: termEnds, isPinned: coresAreMapped)
        leasedCores = leasedCores.union(placement.cores)
    }

    /// The pools without what leases stand on, and what has not come back yet.
    func freePools(at now: Timestamp) -> [Pool] {
        let taken = takenMemory().merging(returningMemory()) { $0 + $1 }
        return pools(at: now).map { pool in
            Pool(
                job: pool.job, cores: pool.cores.subtracting(leasedCores),
                memory: max(.zero, pool.memory - (taken[pool.job] ?? .zero)))
        }
    }

    /// A lease is gone from the node; its place is free, but for places withheld because something did not die.
    ///
    /// - Parameter isReclaiming: its memory is still being freed; `reclaimed` says when that is done.
    public mutating func close(_ leaseID: LeaseID, stuck: Bool = false, reclaiming isReclaiming: Bool = false) {
        guard let lease = leases.removeValue(forKey: leaseID) else { return }
        leasedCores = leasedCores.subtracting(lease.placement.cores)
        if isReclaiming, !stuck { reclaiming[leaseID] = lease.placement }
        guard stuck else { return }
        withheld = withheld.union(lease.placement.cores)
        withheldPlacements.append(lease.placement)
    }

    /// What did not die is dead now.
    public mutating func releaseWithheld() {
        withheld = AbstractCoreSet()
        withheldPlacements = []
    }

    /// A lease's term was changed by a new grant.
    public mutating func renew(_ leaseID: LeaseID, termEnds: Timestamp) { leases[leaseID]?.termEnds = termEnds }

    /// The most that one lease could have at `now`: `open` with these cores and this memory succeeds.
    ///
    /// Leases stand in one place each, so more may be free in several places than one lease could have.
    public func offer(at now: Timestamp) -> Offer {
        guard standstill(at: now) == nil else { return Offer() }
        let free = freePools(at: now)
        return Offer(cores: free.map(\.cores.count).max() ?? 0, memory: free.map(\.memory).max() ?? .zero)
    }

    /// What could be leased beneath one job at `now`, leases that stand there included.
    public func lending(of jobID: JobID, at now: Timestamp) -> Offer { lending(at: now)[jobID] ?? Offer() }

    /// The same for all jobs; those that lend nothing may be missing.
    public func lending(at now: Timestamp) -> [JobID: Offer] {
        guard standstill(at: now) == nil else { return [:] }
        return pools(at: now).reduce(into: [:]) { offers, pool in
            if let job = pool.job { offers[job] = Offer(cores: pool.cores.count, memory: pool.memory) }
        }
    }
}
