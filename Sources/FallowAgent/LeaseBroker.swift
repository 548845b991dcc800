internal import FallowConfiguration
internal import FallowControl
internal import FallowHost
internal import FallowModel
internal import FallowTransport
internal import FallowWire
internal import Glibc
internal import Logging
internal import TransportShm

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Gets leases for this node's clients: asks the co-scheduler, carries its grant to the target node's agent, and gives back.
///
/// Every step has a bound; when one fails, what the steps before it took is given back.
struct LeaseBroker: Sendable {
    /// A lease that runs, and how to reach it.
    struct Opened: Sendable {
        var lease: LeaseOpened
        /// With shm: a descriptor of the arena or the donor's memory file, the receiver's to close; else -1.
        var shared: Int32
        var agentURL: String
        var isLocal: Bool
    }

    /// What an executor uses besides its slots and what its functions allocate.
    static let executorNeeds = ByteCount.mebibytes(16)

    let settings: Settings
    let name: NodeName
    let agentURL: String
    let door: LoopDoor<NodeShell>
    let cache: LibraryCache
    let identities = IdentityCache()
    private let places = LibraryPlaces()
    let munge: Munge
    let client: SealedClient
    let log: Logger

    /// Opens a lease.
    /// - Parameter library: as the client opened it; stays the caller's. Of no meaning with memory.
    func open(_ wanted: LeaseDemand, user: UserID, library: Int32) async throws -> Opened {
        if wanted.kind == .memory { return try await openMemory(wanted, user: user) }
        let demand = try checked(wanted)
        let request = UInt64.random(in: .min ... .max)
        expectExecutor(for: demand) { $0.parking.expect(.shm, for: user) }
        // None of these needs the others: the copy of the library, the user's groups, the grant.
        let source = OwnedDescriptor(fcntl(library, F_DUPFD_CLOEXEC, 0))
        let keeping = Task { try await keep(source, of: user) }
        let known = Task {
            if let identity = try? await identities.identity(of: user) {
                expectExecutor(for: demand) { $0.engageExecutor(as: identity, for: request) }
            }
        }
        // The name service may answer after the request has come to its end.
        defer {
            Task {
                await known.value
                door.tell { $0.parking.endRequest(request) }
            }
        }
        return try await untilOpened(demand, user: user) { granted in
            let sha256 = try await keeping.value
            await known.value
            return try await open(granted, sha256: sha256, user: user)
        }
    }

    /// Asks the co-scheduler for a grant and has it obeyed; again, within bounds, where the node had less than it seemed.
    func untilOpened(
        _ demand: LeaseDemand, user: UserID, _ open: (Granted) async throws -> Opened
    ) async throws -> Opened {
        let deadline = ContinuousClock.now + .nanoseconds(Int64(demand.waitSeconds * 1e9))
        var attempt = 0
        while true {
            attempt += 1
            var asking = demand
            asking.waitSeconds = max(0, (deadline - .now).inSeconds)
            let (answer, letters) = try await grant(
                LeaseRequest(
                    requestID: .random(in: .min ... .max), user: user, fromNode: name, fromAgentURL: agentURL,
                    demand: asking, readsLetters: true))
            do {
                return try await open(Granted(answer: answer, grant: readReceipt(answer.receipt, letters)))
            } catch let error as WireError {
                try? await client.sendIgnoringReply(
                    .delete, settings.controllerURL, "/v1/leases/\(answer.leaseID)", attempts: 2)
                // The node had less than it had reported: its next report says so, and another try finds another node.
                guard error.code == .noCapacity || error.code == .unavailable, attempt < 4 || .now < deadline else {
                    throw error
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Copies the library into the cache, from a descriptor of its own: the caller's may be closed while the disk is slow.
    private func keep(_ source: OwnedDescriptor, of user: UserID) async throws -> String {
        let cache = cache
        return try await BlockingPool.shared.run(timeout: .seconds(30), "keeping the library") {
            try cache.store(descriptor: source.number, user: user)
        }
    }

    /// The co-scheduler puts a lease on its client's own node where it can: where there is room, something is done ahead
    /// meanwhile.
    private func expectExecutor(for demand: LeaseDemand, _ ahead: @escaping @Sendable (NodeShell) -> Void) {
        guard !demand.remote, demand.node == nil || demand.node == name else { return }
        door.tell { shell in
            let offer = shell.policy.offer(at: shell.now)
            guard offer.cores >= demand.cpus, offer.memory >= demand.memory else { return }
            ahead(shell)
        }
    }

    /// Gives a lease back. Bounded; a target that does not answer ends the lease by its term, or when it misses this node.
    func end(_ leaseID: LeaseID, at agentURL: String, isLocal: Bool, reason: LeaseEnd) async {
        if isLocal {
            door.tell { $0.giveBack(leaseID, reason) }
        } else {
            do {
                try await client.sendIgnoringReply(
                    .delete, agentURL, "/v1/executors/\(leaseID)",
                    body: LeaseEndNotice(leaseID: leaseID, reason: reason), attempts: 3)
            } catch {
                log.warning("a lease was not given back", metadata: ["lease": "\(leaseID)", "error": "\(error)"])
            }
        }
        try? await client.sendIgnoringReply(
            .delete, settings.controllerURL, "/v1/leases/\(leaseID)", attempts: 2)
    }

    /// A longer term for a lease.
    /// - Returns: when the new term ends.
    func renew(_ leaseID: LeaseID, at agentURL: String, isLocal: Bool, termSeconds: Double) async throws -> Timestamp {
        guard termSeconds > 0, termSeconds.isFinite else {
            throw WireError(.invalid, "the term must be above 0 seconds, not \(termSeconds)")
        }
        let renewed: LeaseRenewed = try await client.send(
            .post, settings.controllerURL, "/v1/leases/\(leaseID)/renew",
            body: LeaseRenewal(termSeconds: termSeconds), attempts: 2)
        if isLocal {
            let grant = try await decodeGrant(renewed.grant)
            try await door.call { $0.renew(grant) }.get()
        } else {
            try await client.sendIgnoringReply(
                .post, agentURL, "/v1/executors/\(leaseID)/renew",
                body: ExecutorRequest(grant: renewed.grant, librarySHA256: ""))
        }
        return renewed.termEnds
    }

    private func open(_ granted: Granted, sha256: String, user: UserID) async throws -> Opened {
        let (answer, grant) = (granted.answer, granted.grant)
        let isLocal = answer.node == name
        var arena: Int32 = -1
        var addresses = ExecutorReport()
        if isLocal {
            (addresses, arena) = try await openHere(grant, sha256: sha256, local: true)
        } else {
            addresses = try await openThere(answer, sha256: sha256, user: user)
        }
        let demand = grant.demand
        return Opened(
            lease: LeaseOpened(
                leaseID: answer.leaseID, node: answer.node, workers: demand.cpus, memory: demand.memory,
                termEnds: answer.termEnds, transport: isLocal ? .shm : .fabric, address: addresses.address,
                verbsAddress: addresses.verbsAddress,
                verbsSource: addresses.verbsAddress == nil ? nil : settings.rdmaAddress,
                secret: grant.secret, slotCount: demand.slotCount, inputBytes: demand.inputBytes,
                outputBytes: demand.outputBytes,
                bufferBytes: isLocal ? demand.bufferBytes : nil),
            shared: arena, agentURL: answer.agentURL, isLocal: isLocal)
    }

    /// Obeys a grant on this node.
    /// - Returns: the executor's word, and a copy of the arena's descriptor (shm), or -1.
    func openHere(
        _ grant: Grant, sha256: String, local: Bool
    ) async throws -> (report: ExecutorReport, shared: Int32) {
        guard let library = cache.open(sha256, user: grant.user) else {
            throw WireError(.notFound, "the library \(sha256) is not in this node's cache")
        }
        defer { close(library) }
        let identity: UserIdentity
        do {
            identity = try await identities.identity(of: grant.user)
        } catch let error as HostError { throw WireError(.internalError, "\(name): \(error)") }
        return try await opened(grant.leaseID, local: local) { shell, ready in
            shell.open(grant, library: library, local: local, identity: identity, ready: ready)
        }
    }

    /// Has the event loop open a lease, and takes in the same turn what its client is handed.
    /// - Returns: the process's word, and a copy of the descriptor that it shares with a client on this node, or -1.
    func opened(
        _ leaseID: LeaseID, local: Bool,
        _ open: @escaping @Sendable (NodeShell, @escaping (Result<ExecutorReport, WireError>) -> Void) -> Void
    ) async throws -> (report: ExecutorReport, shared: Int32) {
        try await door.callLater { shell, ready in
            open(shell) { result in
                ready(
                    result.flatMap { report in
                        guard local else { return .success((report, -1)) }
                        let shared = shell.executors[leaseID].map { dup($0.shared) } ?? -1
                        return shared >= 0
                            ? .success((report, shared))
                            : .failure(WireError(.unavailable, "the lease ended as soon as it had begun"))
                    })
            }
        }
    }

    /// Has a grant obeyed on another node.
    private func openThere(_ granted: LeaseGranted, sha256: String, user: UserID) async throws -> ExecutorReport {
        let place = LibraryPlaces.Place(agentURL: granted.agentURL, user: user, sha256: sha256)
        if !places.contains(place) { try await send(library: sha256, of: user, to: granted.agentURL) }
        do {
            let opened: ExecutorOpened = try await client.send(
                .post, granted.agentURL, "/v1/executors",
                body: ExecutorRequest(grant: granted.grant, librarySHA256: sha256), timeout: .seconds(30))
            places.insert(place)
            return ExecutorReport(address: opened.address, verbsAddress: opened.verbsAddress)
        } catch let error as WireError where error.code == .notFound {
            // It was pruned there since: with another grant it is sent anew.
            guard places.remove(place) else { throw error }
            throw WireError(.unavailable, error.message)
        }
    }

    private func send(library sha256: String, of user: UserID, to agentURL: String) async throws {
        let path = "/v1/libraries/\(user)/\(sha256)"
        do {
            return try await client.sendIgnoringReply(.head, agentURL, path)
        } catch let error as WireError where error.code == .notFound {
            guard let library = cache.open(sha256, user: user) else { throw error }
            defer { close(library) }
            try await client.upload(agentURL, path, descriptor: library, digest: .of(descriptor: library))
        }
    }

    private func checked(_ demand: LeaseDemand) throws(WireError) -> LeaseDemand {
        var demand = demand
        if demand.cpus == 0 { demand.cpus = 1 }
        if demand.memory == .zero { demand.memory = .mebibytes(512) }
        if demand.slotCount == 0 { demand.slotCount = 16 }
        if demand.inputBytes == 0 { demand.inputBytes = 1 << 20 }
        if demand.outputBytes == 0 { demand.outputBytes = 1 << 20 }
        guard (1...1024).contains(demand.cpus) else {
            throw WireError(.invalid, "cpus must be 1 to 1024, not \(demand.cpus)")
        }
        guard demand.memory >= .mebibytes(16) else {
            throw WireError(.invalid, "memory must be at least 16 MiB, not \(demand.memory)")
        }
        let geometry = ArenaGeometry(
            slotCount: demand.slotCount, inputBytes: demand.inputBytes, outputBytes: demand.outputBytes,
            bufferBytes: demand.bufferBytes ?? 0)
        if let complaint = geometry.complaint { throw WireError(.invalid, complaint) }
        // The slots' pages are the lease's own, and the executor itself needs some.
        let slots = ByteCount(ShmArena.byteCount(geometry: geometry, workers: demand.cpus))
        guard demand.memory >= slots + Self.executorNeeds else {
            throw WireError(
                .invalid,
                "\(demand.cpus) workers with \(demand.slotCount) slots each for this much input, output and buffers need "
                    + "\(slots + Self.executorNeeds) of memory, not \(demand.memory): ask for more memory, fewer slots "
                    + "or smaller payloads")
        }
        try checkSpans(demand)
        demand.libraryName = String(demand.libraryName.prefix(255))
        return demand
    }
}
