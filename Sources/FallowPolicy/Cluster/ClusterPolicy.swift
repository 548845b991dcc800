public import FallowModel
public import FallowWire

/// Where leases go, and when they are over, in a value: events and the time come in, directives and answers go out.
///
/// The agents own the truth about what runs; this is rebuilt from their reports.
public struct ClusterPolicy: Sendable {
    public var limits: ClusterLimits
    var nodes: [NodeName: ClusterNode] = [:]
    var slurmNodes: [NodeName: SlurmNodeView]?
    var plannedStarts: [NodeName: Timestamp] = [:]
    /// When leases were taken up from the ledger, while nodes of theirs may still report again.
    private var restoredAt: Timestamp?
    /// Leases that run or may still begin to.
    public internal(set) var leases: [LeaseID: ClusterLease] = [:]
    /// Why leases ended, so that a node that still reports one is told to end it.
    var ended: RecentMap<LeaseID, LeaseEnd>
    var answered: RecentMap<RequestKey, Grant>
    /// Ends that nodes have yet to obey, of leases that are not in `leases` any more.
    var unwanted: [NodeName: [LeaseID: LeaseEnd]] = [:]

    struct RequestKey: Hashable, Sendable {
        var id: UInt64
        var user: UserID
        var node: NodeName
    }

    public init(limits: ClusterLimits) {
        self.limits = limits
        ended = RecentMap(limit: limits.remembered)
        answered = RecentMap(limit: limits.remembered)
    }

    /// Takes up leases that the ledger holds open, after a restart.
    ///
    /// One that never ran keeps its capacity reserved for as long as its grant may still be obeyed; one that did run ends
    /// with its node's first report that does not show it, for its end may be what the ledger missed.
    public mutating func restore(_ open: [ClusterLease], now: Timestamp) {
        restoredAt = now
        for var lease in open where leases[lease.leaseID] == nil {
            if lease.phase != .running { lease.phase = .granted(obeyBefore: lease.grantedAt + limits.obeyWithin) }
            leases[lease.leaseID] = lease
        }
    }

    /// Takes a new answer of slurmctld; nil: it does not answer, and what was known is too old.
    public mutating func onSlurm(_ view: [NodeName: SlurmNodeView]?, plannedStarts: [NodeName: Timestamp]) {
        slurmNodes = view
        self.plannedStarts = plannedStarts
    }

    /// Slurm's view of a node.
    public func slurmView(of node: NodeName) -> SlurmNodeView? { slurmNodes?[node] }

    /// Takes a node's report. An older report than the last one of the same instance is ignored.
    public mutating func onReport(_ report: NodeReport, now: Timestamp) -> [ClusterDirective] {
        let name = report.node
        if let known = nodes[name], known.report.instance == report.instance,
            report.sequence <= known.report.sequence
        {
            // It is a sign of life all the same, but only a repetition proves what the node still offers.
            if report.sequence == known.report.sequence, !known.silent { nodes[name]?.receivedAt = now }
            return []
        }
        if let known = nodes[name], known.report.instance != report.instance,
            report.instanceStartedAt < known.report.instanceStartedAt
        {
            return []  // late, of an agent that is gone
        }
        if let known = nodes[name], known.report.instance != report.instance {
            endLeasesOfClients(on: name, grantedBefore: report.instanceStartedAt)
        }
        nodes[name] = ClusterNode(report: report, receivedAt: now, after: nodes[name])
        var directives: [ClusterDirective] = []
        for end in report.ended { directives += onEnded(end, on: name) }
        var running = Set<LeaseID>()
        unwanted[name] = nil
        for lease in report.leases {
            running.insert(lease.leaseID)
            directives += onRunning(lease, on: name, now: now)
        }
        for lease in leases.values.filter({ $0.node == name && !running.contains($0.leaseID) }).sorted(by: order) {
            switch lease.phase {
            case .granted where lease.clientNode == name && lease.grantedAt < report.instanceStartedAt:
                // The agent that asked for it is gone, and with it whoever would have brought it to this one.
                directives.append(
                    end(lease, now, lease.endRequested ?? .agentGone, "the agent ended before it opened it"))
            case .granted(let obeyBefore):
                // The node obeys by its own clock: once that has passed `obeyBefore`, the lease will never be.
                if report.at > obeyBefore {
                    directives.append(
                        end(lease, now, lease.endRequested ?? .expired, "the node never opened it"))
                }
            case .running:
                directives.append(
                    end(lease, now, lease.endRequested ?? .agentGone, "the node stopped reporting it"))
            }
        }
        return directives
    }

    private mutating func onRunning(_ report: LeaseReport, on node: NodeName, now: Timestamp) -> [ClusterDirective] {
        if var lease = leases[report.leaseID], lease.node == node, lease.user == report.user {
            let first = lease.phase != .running
            lease.phase = .running
            lease.report = report
            lease.kind = report.kind
            lease.cpus = report.cores.isEmpty ? lease.cpus : report.cores.count
            lease.memory = report.memory
            lease.termEnds = report.termEnds
            leases[report.leaseID] = lease
            return first ? [.started(lease, at: report.startedAt)] : []
        }
        let reason: LeaseEnd? =
            if let reason = ended[report.leaseID] {
                reason
            } else if leases[report.leaseID] != nil {
                .withdrawn  // another node's, or another user's
            } else if report.termEnds <= now {
                .expired
            } else {
                nil
            }
        if let reason {
            unwanted[node, default: [:]][report.leaseID] = reason
            return []
        }
        let lease = ClusterLease(
            leaseID: report.leaseID, kind: report.kind, requestID: 0, user: report.user, node: node, clientNode: node,
            cpus: report.cores.count, memory: report.memory, libraryName: report.libraryName,
            grantedAt: report.startedAt, termEnds: report.termEnds, phase: .running, report: report)
        leases[lease.leaseID] = lease
        return [.adopted(lease)]
    }

    private mutating func onEnded(_ report: LeaseEnded, on node: NodeName) -> [ClusterDirective] {
        let id = report.lease.leaseID
        guard var lease = leases[id], lease.node == node else { return [] }
        lease.report = report.lease
        leases[id] = lease
        return [end(lease, report.at, report.reason, report.detail)]
    }

    /// Takes a lease out of the state.
    mutating func end(
        _ lease: ClusterLease, _ at: Timestamp, _ reason: LeaseEnd, _ detail: String?
    ) -> ClusterDirective {
        leases[lease.leaseID] = nil
        ended.insert(lease.leaseID, reason)
        return .ended(lease, at: at, reason: reason, detail: detail)
    }

    func order(_ a: ClusterLease, _ b: ClusterLease) -> Bool {
        (a.grantedAt, a.leaseID.number) < (b.grantedAt, b.leaseID.number)
    }

    /// Finds the nodes that have been silent for too long: they lend nothing, and their leases are lost.
    public mutating func onTime(_ now: Timestamp) -> [ClusterDirective] {
        var directives: [ClusterDirective] = []
        for (name, node) in nodes where !node.silent && now - node.receivedAt > limits.silentAfter {
            nodes[name]?.silent = true
            endLeasesOfClients(on: name, grantedBefore: now)
            for lease in leases.values.filter({ $0.node == name }).sorted(by: order) {
                directives.append(end(lease, now, .agentGone, "the node has been silent"))
            }
        }
        // Leases restored from the ledger, of nodes that never reported again.
        if let restoredAt, now - restoredAt > limits.obeyWithin + limits.silentAfter {
            self.restoredAt = nil
            for lease in leases.values.filter({ nodes[$0.node] == nil }).sorted(by: order) {
                directives.append(end(lease, now, .agentGone, "the node never reported again"))
            }
        }
        return directives
    }

    /// A node's agent is gone, and with it the connections of its clients: what they leased elsewhere ends.
    private mutating func endLeasesOfClients(on name: NodeName, grantedBefore moment: Timestamp) {
        for (id, lease) in leases where lease.clientNode == name && lease.node != name {
            if lease.endRequested == nil, lease.grantedAt < moment { leases[id]?.endRequested = .clientGone }
        }
    }

    /// Leases that a node must end: released here, ended here, or unknown here.
    public func ends(for node: NodeName) -> [LeaseEndNotice] {
        let asked = leases.values.filter { $0.node == node && $0.endRequested != nil }.map {
            LeaseEndNotice(leaseID: $0.leaseID, reason: $0.endRequested!)
        }
        let unwanted = (unwanted[node] ?? [:]).map { LeaseEndNotice(leaseID: $0.key, reason: $0.value) }
        return (asked + unwanted).sorted { $0.leaseID.number < $1.leaseID.number }
    }
}
