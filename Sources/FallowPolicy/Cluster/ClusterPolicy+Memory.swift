public import FallowModel
internal import FallowWire

/// Where donors go.
extension ClusterPolicy {
    /// The node for a demand and, for memory, what it is lent from there.
    func findPlace(
        _ demand: LeaseDemand, of user: UserID, from client: NodeName, now: Timestamp
    ) throws(WireError) -> (node: NodeName, pool: LendingPool?) {
        guard demand.kind == .memory else { return (try place(demand, from: client, now: now), nil) }
        let place = try placeMemory(demand, of: user, from: client, now: now)
        return (place.node, place.pool)
    }

    /// What memory may be granted on a node now, by pool: its offers, less what is granted and not yet shown by it.
    public func availableMemory(on name: NodeName, now: Timestamp) -> [(pool: LendingPool, memory: ByteCount)] {
        guard isOpen(name, now: now), let node = nodes[name] else { return [] }
        var pools = (node.report.memoryPools ?? []).map { (pool: $0.pool, memory: $0.memory) }
        for lease in leases.values where lease.node == name && lease.phase != .running {
            // Where an executor's memory will be found only its node knows: most likely there.
            let from = lease.grantedPool ?? .unallocated
            if let index = pools.firstIndex(where: { $0.pool == from }) {
                pools[index].memory = max(.zero, pools[index].memory - lease.footprint)
            }
        }
        return pools
    }

    /// Memory that no job holds goes first; then the client's own node, since shared memory is the fastest; then where there
    /// is most, so that donors spread; ties by name. Nothing that shares the fate of what the demand avoids.
    private func placeMemory(
        _ demand: LeaseDemand, of user: UserID, from client: NodeName, now: Timestamp
    ) throws(WireError) -> (node: NodeName, pool: LendingPool) {
        if let name = demand.node, nodes[name] == nil {
            throw WireError(.notFound, "no agent reports from node '\(name)'")
        }
        let avoided = (demand.avoid ?? []).compactMap { leases[$0] }.filter { $0.user == user }
        let shunned = Set(avoided.map(\.node))
        // What no job holds is one pool everywhere, since one large job takes it; so is what one job lends on all its nodes.
        let shunnedPools = Set(avoided.compactMap { $0.kind == .memory ? $0.pool : nil })
        let candidates = candidates(for: demand, from: client)
        var best: (node: NodeName, pool: LendingPool, memory: ByteCount)?
        for name in candidates where !shunned.contains(name) {
            for (pool, memory) in availableMemory(on: name, now: now)
            where memory >= demand.footprint && !shunnedPools.contains(pool) {
                let here = (node: name, pool: pool, memory: memory)
                if let known = best, !isBetter(here, than: known, client) { continue }
                best = here
            }
        }
        if let best { return (best.node, best.pool) }
        throw WireError(.noCapacity, memorySentence(for: demand, candidates, now: now))
    }

    private typealias Candidate = (node: NodeName, pool: LendingPool, memory: ByteCount)

    private func isBetter(_ a: Candidate, than b: Candidate, _ client: NodeName) -> Bool {
        func rank(_ candidate: Candidate) -> Int {
            (candidate.pool == .unallocated ? 0 : 2) + (candidate.node == client ? 0 : 1)
        }
        return (rank(a), b.memory, a.node, a.pool.beneath?.number ?? 0)
            < (rank(b), a.memory, b.node, b.pool.beneath?.number ?? 0)
    }

    private func candidates(for demand: LeaseDemand, from client: NodeName) -> [NodeName] {
        nodes.keys.filter { name in
            if let wanted = demand.node { return name == wanted }
            return !(demand.remote && name == client)
        }
    }

    func memorySentence(for demand: LeaseDemand, _ names: [NodeName], now: Timestamp) -> String {
        let asked = "\(demand.memory) of memory"
        let apart = demand.avoid?.isEmpty == false ? " apart from the leases to be avoided" : ""
        if let name = demand.node {
            let most = availableMemory(on: name, now: now).map(\.memory).max() ?? .zero
            let why = withheldReason(on: name, now: now).map { ": \($0)" } ?? ""
            return "node \(name) has not \(asked) to lend now\(apart), but \(most) in one place\(why)"
        }
        let reporting = names.filter { nodes[$0]?.silent == false }
        guard !reporting.isEmpty else { return "no node has \(asked) to lend: no agent reports" }
        let most = reporting.flatMap { name in availableMemory(on: name, now: now).map { (name, $0.memory) } }
            .max { ($0.1, $1.0) < ($1.1, $0.0) }
        guard let most else {
            return "no node has \(asked) to lend now\(apart): all \(reporting.count) nodes that report lend none"
        }
        return "no node has \(asked) to lend now\(apart); the most in one place is \(most.1) on \(most.0)"
    }
}

/// What a demand for memory may be.
extension ClusterPolicy {
    /// The demand with defaults filled in.
    func checkedMemory(_ demand: LeaseDemand, of request: LeaseRequest) throws(WireError) -> LeaseDemand {
        var demand = demand
        guard demand.cpus == 0 else {
            throw WireError(.invalid, "a lease of memory has no cores; cpus is \(demand.cpus), 0 is right")
        }
        if demand.memory == .zero { demand.memory = limits.donorSize }
        if let complaint = demand.donorComplaint { throw WireError(.invalid, complaint) }
        try checkNode(demand, of: request)
        return demand
    }

    func checkMemoryLimit(
        of user: UserID, _ demand: LeaseDemand, _ held: [ClusterLease]
    ) throws(WireError) {
        let memory: ByteCount = held.reduce(.zero) { $0 + $1.memory }
        guard memory + demand.memory <= limits.memoryPerUser else {
            throw WireError(
                .tooMany,
                "uid \(user) holds \(memory) of remote memory and asks for \(demand.memory) more; "
                    + "lease.memory_per_user is \(limits.memoryPerUser)")
        }
    }
}
