internal import FallowTenant
internal import FallowTransport
internal import FallowWire
internal import Glibc
internal import Synchronization
internal import TransportFabric
internal import TransportShm
internal import TransportVerbs

/// The workers of one executor, a thread each, and the connections they serve.
final class Crew {
    /// How long a worker may stay without its client's first connection over fabric.
    private static let acceptTimeout = Duration.seconds(60)

    private let assignment: ExecutorAssignment
    private let library: FunctionLibrary
    private let cpus: [Int]
    private let polling: PollBudget
    private var threads: [WorkerThread] = []
    private let faults = Faults()

    init(assignment: ExecutorAssignment, library: FunctionLibrary) {
        self.assignment = assignment
        self.library = library
        cpus = Array(assignment.cpus)
        polling = PollBudget(
            longestMicroseconds: assignment.pollMicroseconds, percent: assignment.pollPercent ?? 50,
            workers: assignment.workers)
    }

    /// Starts all workers on an arena, whose descriptor is taken over. Returns when each has its connection.
    func start(arena descriptor: Int32) throws(WireError) {
        let arena: ShmArena
        do {
            arena = try ShmArena(
                adopting: descriptor, expecting: assignment.geometry, workers: assignment.workers)
        } catch {
            throw WireError(.invalid, "the arena cannot be used: \(error)")
        }
        // Callers hear of it at once when this process ends itself, which it does when the agent is gone.
        Lifeline.lastWord.withLock { $0 = { arena.markEnded(LeaseEnd.agentGone.number) } }
        for worker in 0..<assignment.workers {
            do {
                try arena.prefault(worker: worker)
            } catch {
                throw WireError(.noCapacity, "the lease's memory does not hold its slots: \(error)")
            }
            let endpoint: ShmEndpoint
            do {
                endpoint = try arena.endpoint(worker: worker, side: .executor)
            } catch {
                throw WireError(.invalid, "worker \(worker) of the arena cannot be attached: \(error)")
            }
            try serve(worker, endpoint)
        }
    }

    /// Listens over fabric, and over verbs where the agent said so. A device that does not work is told of, no more.
    func listen() throws(WireError) -> Doors {
        guard let secret = assignment.secretBytes, let bindAddress = assignment.bindAddress else {
            throw WireError(.invalid, "an assignment over fabric needs a secret and an address")
        }
        do {
            let fabric = try FabricListener(
                bindAddress: bindAddress, leaseID: assignment.leaseID, secret: secret, geometry: assignment.geometry,
                workers: assignment.workers)
            var doors = Doors(fabric: fabric)
            guard let verbsAddress = assignment.verbsAddress else { return doors }
            do throws(VerbsError) {
                doors.verbs = try VerbsListener(
                    bindAddress: verbsAddress, leaseID: assignment.leaseID, secret: secret,
                    geometry: assignment.geometry, workers: assignment.workers)
            } catch { doors.verbsComplaint = "cannot listen on '\(verbsAddress)' over verbs: \(error)" }
            return doors
        } catch {
            throw WireError(.unavailable, "cannot listen on '\(bindAddress)': \(error)")
        }
    }

    /// Takes the client's connections, one for each worker. Blocks until all are there or the time is over.
    func accept(from doors: Doors) throws(WireError) {
        let deadline = ContinuousClock.now + Self.acceptTimeout
        var isServed = Array(repeating: false, count: assignment.workers)
        while isServed.contains(false) {
            guard deadline > .now else { throw WireError(.unavailable, "not every worker's connection came") }
            doors.wait(atMostMilliseconds: 20)
            if let accepted = try? doors.fabric.acceptNext(timeout: .zero) {
                let worker = accepted.worker
                // A second connection of one worker, over the other door, is dropped.
                if !isServed[worker] {
                    isServed[worker] = true
                    try serve(worker, accepted.takeEndpoint())
                }
            }
            if let accepted = try? doors.verbs?.acceptNext(timeout: .zero) {
                let worker = accepted.worker
                if !isServed[worker] {
                    isServed[worker] = true
                    try serve(worker, accepted.takeEndpoint())
                }
            }
        }
        doors.close()
    }

    /// Blocks until every worker's connection has ended.
    func join() -> TenantExit {
        for thread in threads { thread.join() }
        return faults.count.load(ordering: .acquiring) == 0 ? .served : .transportFailed
    }

    private func serve<Connection: Endpoint & ~Copyable>(
        _ worker: Int, _ endpoint: consuming Connection
    ) throws(WireError) {
        let post = Post(
            Worker(endpoint: endpoint, library: library, polling: polling))
        let faults = faults
        threads.append(
            try WorkerThread(name: "worker-\(worker)", cpu: cpus.isEmpty ? nil : cpus[worker]) {
                guard var worker = post.take() else { return }
                let end = worker.serve()
                if end != .peerLost { faults.count.add(1, ordering: .releasing) }
            })
    }

    private final class Faults: Sendable {
        let count = Atomic<Int>(0)
    }

    /// Carries a worker into its thread, where it lives on the stack.
    private final class Post<Connection: Endpoint & ~Copyable>: @unchecked Sendable {
        private var worker: Worker<Connection>?
        init(_ worker: consuming Worker<Connection>) { self.worker = consume worker }
        func take() -> Worker<Connection>? { worker.take() }
    }
}
