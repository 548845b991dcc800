internal import FallowControl
internal import FallowHistory
internal import FallowModel
internal import FallowPolicy
internal import FallowSlurm
internal import FallowWire
internal import Logging

/// The co-scheduler's state and what may be done to it: carries out what the policy says.
actor ClusterService {
    var policy: ClusterPolicy
    var switches: SwitchTable
    var waiters = LeaseQueue()
    let ledger: Ledger
    let instance: UInt64
    let startedAt = Timestamp.now
    let logger: Logger
    private(set) var slurmAnswers = false
    /// Slurm's `PrivateData`; while slurmctld has not said it, everything is private.
    private(set) var privateData = PrivateData.everything
    private var slurmAnsweredAt: Timestamp?
    /// Since the start, for `/metrics`.
    var leasesGranted = 0
    var leasesRefused = 0
    private(set) var leasesEnded: [LeaseEnd: Int] = [:]
    private(set) var reports = 0
    private(set) var isStopping = false

    init(
        policy: ClusterPolicy, switches: SwitchTable, ledger: Ledger, instance: UInt64, logger: Logger
    ) {
        self.policy = policy
        self.switches = switches
        self.ledger = ledger
        self.instance = instance
        self.logger = logger
    }

    /// A node's report, and what its agent should know and do.
    func report(_ report: NodeReport) -> NodeInstructions {
        let now = Timestamp.now
        carryOut(policy.onReport(report, now: now))
        reports += 1
        let isDown = policy.slurmView(of: report.node)?.isWithheld ?? false
        ledger.write { try $0.record(report, receivedAt: now, isDown: isDown) }
        serveQueue(now)
        return NodeInstructions(
            slurm: policy.slurmView(of: report.node), end: policy.ends(for: report.node),
            switches: switches.switches(for: report.node), controllerInstance: instance)
    }

    /// Time passes: nodes fall silent, waits end.
    func tick() {
        let now = Timestamp.now
        carryOut(policy.onTime(now))
        serveQueue(now)
    }

    /// No more waiting: who waits is told so.
    func stop() {
        isStopping = true
        waiters.close()
    }

    /// slurmctld's latest word; nil: none that is young enough.
    func slurm(_ snapshot: SlurmSnapshot?) {
        slurmAnswers = snapshot != nil
        if let snapshot { note(snapshot) }
        privateData = snapshot?.privateData ?? privateData
        slurmAnsweredAt = snapshot?.at
        policy.onSlurm(snapshot?.views, plannedStarts: snapshot?.plannedStarts ?? [:])
        serveQueue(.now)
    }

    /// Lets the history know what slurmctld says of jobs, partitions and nodes that are down.
    private func note(_ snapshot: SlurmSnapshot) {
        let partitions = Dictionary(snapshot.nodes.map { ($0.name, $0.partitions) }) { first, _ in first }
        let down = snapshot.nodes.filter { $0.view.isWithheld && $0.view.jobs.isEmpty }.map { ($0.name, $0.view.cores) }
        let since = slurmAnsweredAt
        ledger.write { history in
            history.note(jobs: snapshot.jobs, partitions: partitions)
            if let since { history.noteDown(down, from: since, to: snapshot.at) }
        }
    }

    /// Keeps an operator's change; it reaches the nodes with the answers to their next reports.
    func change(_ change: SwitchChange) async throws {
        guard change.unallocated != nil || change.lent != nil else {
            throw WireError(.invalid, "a change names 'unallocated', 'lent' or both")
        }
        var table = switches
        table.apply(change)
        let kept = table
        try await ledger.writeNow { try $0.record(kept) }
        // Another change may have come while this one was written: apply it to what holds now.
        switches.apply(change)
        func word(_ on: Bool?) -> String { on.map { $0 ? "on" : "off" } ?? "as it is" }
        logger.notice(
            "\(change.node.map { "node \($0)" } ?? "all nodes"): unallocated \(word(change.unallocated)), lent \(word(change.lent))"
        )
    }

    /// Writes to the ledger what the policy decided.
    func carryOut(_ directives: [ClusterDirective]) {
        for directive in directives {
            switch directive {
            case .started(let lease, let at):
                ledger.write { try $0.recordLease(lease.row(startedAt: at)) }
            case .adopted(let lease):
                logger.notice("lease \(lease.leaseID) of node \(lease.node) was not known and is taken up")
                ledger.write { try $0.recordLease(lease.row(startedAt: lease.grantedAt)) }
            case .ended(let lease, let at, let reason, let detail):
                leasesEnded[reason, default: 0] += 1
                let words = detail.map { ": \($0)" } ?? ""
                logger.info("lease \(lease.leaseID) on \(lease.node) ended: \(reason.rawValue)\(words)")
                ledger.write {
                    try $0.recordEnd(of: lease.leaseID, at: at, reason: reason, detail: detail, report: lease.report)
                }
            }
        }
    }
}

extension SlurmNodeView {
    /// Slurm gives the node to no job for a reason of its own: down, drained, powered off. A reservation is none: somebody
    /// may use it.
    var isWithheld: Bool {
        state.split(separator: "+").contains {
            [
                "DOWN", "ERROR", "UNKNOWN", "FUTURE", "DRAIN", "FAIL", "NOT_RESPONDING", "POWERED_DOWN", "POWERING_UP",
                "POWERING_DOWN", "POWER_DOWN", "POWER_DRAIN", "MAINTENANCE", "REBOOT_ISSUED", "INVALID_REG",
            ].contains($0)
        }
    }
}

extension ClusterLease {
    func row(startedAt: Timestamp?) -> LedgerLease {
        LedgerLease(
            leaseID: leaseID, kind: kind, requestID: requestID, user: user, node: node, clientNode: clientNode,
            cpus: cpus,
            memory: memory, libraryName: libraryName, grantedAt: grantedAt, termEnds: termEnds, startedAt: startedAt)
    }
    init(_ row: LedgerLease) {
        self.init(
            leaseID: row.leaseID, kind: row.kind, requestID: row.requestID, user: row.user, node: row.node,
            clientNode: row.clientNode, cpus: row.cpus, memory: row.memory, libraryName: row.libraryName,
            grantedAt: row.grantedAt, termEnds: row.termEnds,
            phase: row.startedAt == nil ? .granted(obeyBefore: row.grantedAt) : .running)
    }
}
