public import FallowModel
public import FallowWire

extension ClusterPolicy {
    /// Grants a lease, or says why not.
    ///
    /// - Parameters:
    ///   - leaseID: drawn at random by the caller, unique.
    ///   - secret: 32 random bytes in hexadecimal.
    /// - Returns: the grant; the very same one when the request was granted before.
    /// - Throws: `WireError`: `invalid`, `refused` (root), `tooMany` (the user's limits), `notFound` (a node that does not
    ///   report), `noCapacity` with what there is: then it may be asked again later.
    public mutating func onLeaseRequest(
        _ request: LeaseRequest, leaseID: LeaseID, secret: String, now: Timestamp
    ) throws(WireError) -> (grant: Grant, directives: [ClusterDirective]) {
        let key = RequestKey(id: request.requestID, user: request.user, node: request.fromNode)
        if let grant = answered[key], leases[grant.leaseID] != nil { return (grant, []) }
        let demand = try checked(request)
        var directives: [ClusterDirective] = []
        // Granted before the co-scheduler restarted: the secret is gone, so that lease is given back.
        for old in leases.values
        where old.requestID == request.requestID && old.requestID != 0 && old.user == request.user
            && old.clientNode == request.fromNode
        {
            directives += release(old.leaseID, reason: .released, endedOnNode: false, now: now)
        }
        try checkLimits(of: request.user, demand)
        guard leases[leaseID] == nil, ended[leaseID] == nil else {
            throw WireError(.internalError, "the lease id \(leaseID) is taken")
        }
        let (place, pool) = try findPlace(demand, of: request.user, from: request.fromNode, now: now)
        let term = term(asked: demand.termSeconds, on: place, now: now)
        let obeyBefore = now + limits.obeyWithin
        let lease = ClusterLease(
            leaseID: leaseID, kind: demand.kind, requestID: request.requestID, user: request.user, node: place,
            clientNode: request.fromNode, cpus: demand.cpus, memory: demand.memory, grantedPool: pool,
            libraryName: demand.libraryName, grantedAt: now, termEnds: now + term,
            phase: .granted(obeyBefore: obeyBefore))
        let grant = Grant(
            leaseID: leaseID, node: place, user: request.user, demand: demand, secret: secret,
            termEnds: lease.termEnds, obeyBefore: obeyBefore, clientNode: request.fromNode,
            clientAgentURL: request.fromAgentURL, pool: pool)
        leases[leaseID] = lease
        answered.insert(key, grant)
        return (grant, directives)
    }

    /// Ends a lease.
    ///
    /// - Parameter endedOnNode: the lease's own node says so, hence nothing of it runs or will.
    /// - Returns: nothing new for a lease that is over already: a repeated release is no error.
    public mutating func release(
        _ id: LeaseID, reason: LeaseEnd, endedOnNode: Bool, now: Timestamp
    ) -> [ClusterDirective] {
        guard let lease = leases[id] else { return [] }
        if endedOnNode { return [end(lease, now, reason, nil)] }
        if lease.endRequested == nil { leases[id]?.endRequested = reason }
        return []
    }

    /// Gives a lease a new term from now on, within the site's maximum and Slurm's plan.
    ///
    /// - Returns: a grant for the lease's node, with the new term.
    /// - Throws: `WireError` `notFound`, or `conflict` when its end was asked for.
    public mutating func renew(
        _ id: LeaseID, termSeconds: Double, now: Timestamp
    ) throws(WireError) -> Grant {
        guard let lease = leases[id] else { throw WireError(.notFound, "there is no lease \(id) that runs") }
        if let reason = lease.endRequested {
            throw WireError(.conflict, "lease \(id) is being ended (\(reason.rawValue))")
        }
        guard lease.termEnds > now else { throw WireError(.conflict, "the term of lease \(id) is over") }
        try checkSeconds(termSeconds, "the term")
        let termEnds = now + term(asked: termSeconds, on: lease.node, now: now)
        leases[id]?.termEnds = termEnds
        return Grant(
            leaseID: id, node: lease.node, user: lease.user,
            demand: lease.demand, secret: "", termEnds: termEnds, obeyBefore: now + limits.obeyWithin,
            clientNode: lease.clientNode, clientAgentURL: "", pool: lease.pool)
    }

    /// The demand with defaults filled in.
    private func checked(_ request: LeaseRequest) throws(WireError) -> LeaseDemand {
        var demand = request.demand
        guard request.user != .root else {
            throw WireError(.refused, "functions never run as root: lease as an ordinary user")
        }
        guard (0...65_536).contains(demand.cpus) else {
            throw WireError(.invalid, "cpus is \(demand.cpus); 1 to 65536 is right")
        }
        guard demand.memory >= .zero, demand.memory <= .gibibytes(1 << 20) else {
            throw WireError(.invalid, "memory is \(demand.memory); 0 (the default) to 1 PiB is right")
        }
        try checkSeconds(demand.termSeconds, "the term")
        try checkSeconds(demand.waitSeconds, "the time to wait")
        guard (0...65_536).contains(demand.slotCount), (0...(1 << 32)).contains(demand.inputBytes),
            (0...(1 << 32)).contains(demand.outputBytes), (0...(1 << 40)).contains(demand.bufferBytes ?? 0)
        else {
            throw WireError(
                .invalid,
                "\(demand.slotCount) slots of \(demand.inputBytes) and \(demand.outputBytes) bytes are out of range")
        }
        guard (0...1).contains(demand.pollSeconds ?? 0) else {
            throw WireError(.invalid, "pollSeconds is \(demand.pollSeconds ?? 0); 0 (never) to 1 is right")
        }
        if demand.kind == .memory { return try checkedMemory(demand, of: request) }
        guard !demand.libraryName.isEmpty, demand.libraryName.utf8.count <= 255 else {
            throw WireError(.invalid, "the library's name should have 1 to 255 bytes")
        }
        try checkNode(demand, of: request)
        if demand.cpus == 0 { demand.cpus = 1 }
        if demand.memory == .zero { demand.memory = .mebibytes(512) }
        if demand.slotCount == 0 { demand.slotCount = 16 }
        if demand.inputBytes == 0 { demand.inputBytes = 1 << 20 }
        if demand.outputBytes == 0 { demand.outputBytes = 1 << 20 }
        return demand
    }

    func checkNode(_ demand: LeaseDemand, of request: LeaseRequest) throws(WireError) {
        if demand.remote, demand.node == request.fromNode {
            throw WireError(.invalid, "remote and the client's own node \(request.fromNode) exclude each other")
        }
    }

    private func checkSeconds(_ seconds: Double, _ what: String) throws(WireError) {
        guard seconds >= 0, seconds <= 1e9 else {
            throw WireError(.invalid, "\(what) is \(seconds) s; 0 (the default) to 1e9 is right")
        }
    }

    private func checkLimits(of user: UserID, _ demand: LeaseDemand) throws(WireError) {
        let cpus = demand.cpus
        let held = leases.values.filter { $0.user == user && $0.kind == demand.kind && $0.endRequested == nil }
        guard held.count < limits.leasesPerUser else {
            throw WireError(
                .tooMany,
                "uid \(user) holds \(held.count) leases of \(demand.kind), and lease.per_user is \(limits.leasesPerUser)"
            )
        }
        if demand.kind == .memory { return try checkMemoryLimit(of: user, demand, held) }
        let cores = held.reduce(0) { $0 + $1.cpus }
        guard cores + cpus <= limits.coresPerUser else {
            throw WireError(
                .tooMany,
                "uid \(user) holds \(cores) cores and asks for \(cpus); lease.cores_per_user is \(limits.coresPerUser)")
        }
    }

    private func term(asked seconds: Double, on node: NodeName, now: Timestamp) -> Duration {
        let asked = seconds > 0 ? Duration.nanoseconds(Int64(seconds * 1e9)) : limits.termDefault
        let allowed = min(asked, limits.termMaximum)
        guard let start = plannedStarts[node], start > now else { return allowed }
        return min(allowed, start - now)
    }
}
