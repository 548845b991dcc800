public import FallowModel
public import FallowWire

extension ClusterPolicy {
    /// Every node that reported or that slurmctld knows, by name.
    public func nodeViews(now: Timestamp) -> [NodeView] {
        let names = Set(nodes.keys).union(slurmNodes?.keys.map { $0 } ?? [])
        return names.sorted().map { name in
            let slurm = slurmNodes?[name]
            guard let node = nodes[name] else {
                return NodeView(
                    node: name, slurmState: slurm?.state, lastReportSeconds: nil, version: nil,
                    cores: slurm?.cores ?? 0, memory: slurm?.memory ?? .zero,
                    allocatedCores: allocatedCores(slurm), leasedCores: 0, leasedMemory: .zero, offer: Offer(),
                    withheldReason: "no agent reports from it", switches: LendingSwitches())
            }
            let held = leases.values.filter { $0.node == name }
            return NodeView(
                node: name, slurmState: slurm?.state, lastReportSeconds: (now - node.receivedAt).inSeconds,
                version: node.report.version, cores: node.report.cores, memory: node.report.memory,
                allocatedCores: slurm.map { allocatedCores($0) } ?? reportedCores(node.report),
                leasedCores: held.reduce(0) { $0 + $1.cpus }, leasedMemory: held.reduce(.zero) { $0 + $1.memory },
                donatedMemory: held.reduce(.zero) { $1.kind == .memory ? $0 + $1.memory : $0 },
                offer: available(on: name, now: now), withheldReason: withheldReason(on: name, now: now),
                switches: node.report.switches, usedCores: node.silent ? nil : node.usedCores,
                pressure: node.silent ? nil : node.report.pressure, plugin: node.report.plugin)
        }
    }

    /// Jobs on the nodes that are not silent, by node and job.
    public func jobViews() -> [JobView] {
        nodes.sorted { $0.key < $1.key }.filter { !$0.value.silent }.flatMap { name, node in
            node.report.jobs.filter { $0.endedAt == nil }.sorted { $0.jobID < $1.jobID }
                .map { JobView(node: name, job: $0) }
        }
    }

    /// Leases that run or are granted, oldest first.
    public func leaseViews() -> [LeaseView] {
        leases.values.sorted(by: order).map { lease in
            LeaseView(
                leaseID: lease.leaseID, kind: lease.kind, user: lease.user, node: lease.node,
                clientNode: lease.clientNode,
                cpus: lease.cpus, memory: lease.memory, grantedAt: lease.grantedAt, termEnds: lease.termEnds,
                endedAt: nil, reason: nil, detail: nil, beneath: lease.report?.beneath,
                usedCoreSeconds: lease.report?.usedCoreSeconds ?? 0, libraryName: lease.libraryName)
        }
    }

    /// How many nodes report, and how many stopped.
    public var nodeCounts: (reporting: Int, silent: Int) {
        let silent = nodes.values.filter(\.silent).count
        return (nodes.count - silent, silent)
    }

    private func allocatedCores(_ slurm: SlurmNodeView?) -> Int {
        slurm?.jobs.reduce(AbstractCoreSet()) { $0.union($1.cores) }.count ?? 0
    }
    private func reportedCores(_ report: NodeReport) -> Int {
        report.jobs.filter { $0.endedAt == nil }.reduce(AbstractCoreSet()) { $0.union($1.cores) }.count
    }
}

extension ClusterPolicy {
    /// Where a node's agent listens; nil when it never reported.
    public func agentURL(of node: NodeName) -> String? { nodes[node]?.report.agentURL }

    /// Why a lease ended that is remembered to have ended.
    public func endReason(of lease: LeaseID) -> LeaseEnd? { ended[lease] }
}
