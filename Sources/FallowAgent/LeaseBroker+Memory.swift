internal import FallowHost
internal import FallowModel
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// Leases of memory: as those of functions, without a library.
extension LeaseBroker {
    /// Opens a donor.
    func openMemory(_ wanted: LeaseDemand, user: UserID) async throws -> Opened {
        let demand = try checkedMemory(wanted)
        return try await untilOpened(demand, user: user) { granted in try await openMemory(granted) }
    }

    private func openMemory(_ granted: Granted) async throws -> Opened {
        let (answer, grant) = (granted.answer, granted.grant)
        let isLocal = answer.node == name
        guard grant.demand.kind == .memory else {
            throw WireError(
                .internalError, "the co-scheduler knows of no leases of memory: it is older than this agent")
        }
        var shared: Int32 = -1
        var addresses = ExecutorReport()
        if isLocal {
            (addresses, shared) = try await openDonorHere(grant, local: true)
        } else {
            let opened: ExecutorOpened = try await client.send(
                .post, answer.agentURL, "/v1/executors",
                body: ExecutorRequest(grant: answer.grant, librarySHA256: ""), timeout: .seconds(30))
            addresses = ExecutorReport(address: opened.address, verbsAddress: opened.verbsAddress)
        }
        return Opened(
            lease: LeaseOpened(
                leaseID: answer.leaseID, node: answer.node, kind: .memory, workers: 0, memory: grant.demand.memory,
                termEnds: answer.termEnds, transport: isLocal ? .shm : .stream, address: addresses.address,
                verbsAddress: addresses.verbsAddress,
                verbsSource: addresses.verbsAddress == nil ? nil : settings.rdmaAddress, secret: grant.secret,
                slotCount: 0, inputBytes: 0,
                outputBytes: 0, pool: grant.pool),
            shared: shared, agentURL: answer.agentURL, isLocal: isLocal)
    }

    /// Obeys a grant for memory on this node.
    /// - Returns: the donor's word, and a copy of its memory file's descriptor where the borrower is here, or -1.
    func openDonorHere(_ grant: Grant, local: Bool) async throws -> (report: ExecutorReport, shared: Int32) {
        let identity = try await identities.donors(named: settings.donorUser)
        return try await opened(grant.leaseID, local: local) { shell, ready in
            shell.openDonor(grant, local: local, identity: identity, ready: ready)
        }
    }

    private func checkedMemory(_ wanted: LeaseDemand) throws(WireError) -> LeaseDemand {
        var demand = wanted
        if demand.memory == .zero { demand.memory = settings.donorSize }
        if let complaint = demand.donorComplaint { throw WireError(.invalid, complaint) }
        guard demand.cpus == 0 else {
            throw WireError(.invalid, "a lease of memory has no cores; cpus is \(demand.cpus), 0 is right")
        }
        try checkSpans(demand)
        demand.libraryName = ""
        return demand
    }

    /// How long a lease may be, and how long its client may wait for it.
    func checkSpans(_ demand: LeaseDemand) throws(WireError) {
        guard demand.termSeconds >= 0, demand.termSeconds.isFinite else {
            throw WireError(
                .invalid, "the term must be 0 (the site's default) or more seconds, not \(demand.termSeconds)")
        }
        guard (0...3600).contains(demand.waitSeconds) else {
            throw WireError(.invalid, "the wait must be 0 to 3600 seconds, not \(demand.waitSeconds)")
        }
    }
}
