public import FallowModel
public import FallowWire

extension ClusterPolicy {
    /// What may be granted on a node now: its offer, less what is granted and not yet shown by it.
    public func available(on name: NodeName, now: Timestamp) -> Offer {
        guard isOpen(name, now: now), let node = nodes[name] else { return Offer() }
        var offer = node.report.offer
        for lease in leases.values where lease.node == name && lease.phase != .running {
            offer.cores -= lease.cpus
            offer.memory -= lease.footprint
        }
        return Offer(cores: max(0, offer.cores), memory: max(.zero, offer.memory))
    }

    /// Whether anything may be granted on a node at all.
    func isOpen(_ name: NodeName, now: Timestamp) -> Bool {
        guard let node = nodes[name], !node.silent, now - node.receivedAt <= limits.silentAfter else { return false }
        if let slurm = slurmNodes?[name], !slurm.mayLend { return false }
        if let start = plannedStarts[name], start > now, start - now < limits.termMinimum { return false }
        return true
    }

    /// The node for a demand: the one it names; else the client's own, since shared memory is the fastest; else the one
    /// that offers most cores, ties by name.
    func place(_ demand: LeaseDemand, from client: NodeName, now: Timestamp) throws(WireError) -> NodeName {
        if let name = demand.node, nodes[name] == nil {
            throw WireError(.notFound, "no agent reports from node '\(name)'")
        }
        let candidates = nodes.keys.filter { name in
            if let wanted = demand.node { return name == wanted }
            return !(demand.remote && name == client)
        }
        let offers = candidates.map { (name: $0, offer: available(on: $0, now: now)) }
        let fitting = offers.filter { $0.offer.cores >= demand.cpus && $0.offer.memory >= demand.memory }
        if fitting.contains(where: { $0.name == client }) { return client }
        let best = fitting.min { ($1.offer.cores, $0.name) < ($0.offer.cores, $1.name) }
        if let best { return best.name }
        throw WireError(.noCapacity, sentence(for: demand, offers, now: now))
    }

    private func sentence(
        for demand: LeaseDemand, _ offers: [(name: NodeName, offer: Offer)], now: Timestamp
    ) -> String {
        let asked = "\(demand.cpus) core\(demand.cpus == 1 ? "" : "s") and \(demand.memory)"
        if let name = demand.node {
            let there = offers.first?.offer ?? Offer()
            let why = withheldReason(on: name, now: now).map { ": \($0)" } ?? ""
            return "node \(name) has not \(asked) to lend now, but \(there.cores) cores and \(there.memory)\(why)"
        }
        let reporting = offers.filter { nodes[$0.name]?.silent == false }.count
        guard reporting > 0 else { return "no node has \(asked) to lend: no agent reports" }
        let most = offers.max { ($0.offer.cores, $1.name) < ($1.offer.cores, $0.name) }
        guard let most, most.offer.cores > 0 else {
            return "no node has \(asked) to lend now: all \(reporting) nodes that report lend nothing"
        }
        return "no node has \(asked) to lend now; the most is \(most.offer.cores) cores and \(most.offer.memory)"
            + " on \(most.name)"
    }

    /// Why a node offers nothing, as far as it is known here.
    func withheldReason(on name: NodeName, now: Timestamp) -> String? {
        guard let node = nodes[name] else { return nil }
        if node.silent || now - node.receivedAt > limits.silentAfter { return "its agent is silent" }
        if let slurm = slurmNodes?[name], !slurm.mayLend { return "Slurm's state of it is \(slurm.state)" }
        if let start = plannedStarts[name], start > now, start - now < limits.termMinimum {
            return "Slurm is about to start a job there"
        }
        return node.report.withheldReason
    }
}
