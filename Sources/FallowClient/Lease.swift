public import FallowModel
internal import FallowTransport
public import FallowWire
internal import Glibc
internal import Synchronization
internal import TransportFabric
internal import TransportShm
internal import TransportVerbs

/// Workers on one node of the cluster, with a library loaded. Thread-safe. Ends when released or forgotten.
public final class Lease: @unchecked Sendable {
    public let id: LeaseID
    public let node: NodeName
    public let cpus: Int
    public let memory: ByteCount
    /// What its workers are reached over.
    public let transport: TransportKind
    /// Why the workers are not reached over verbs although they listen there; nil when nothing went wrong.
    public let transportComplaint: String?
    /// Most bytes of payload and of result of one call.
    public let inputBytes: Int
    public let outputBytes: Int

    let client: FallowClient
    let fate: LeaseFate
    let names = FunctionNames()
    let workers: [WorkerConnection]
    /// The same, for the hot path: no array, no reference counts.
    let workerTable: UnsafeMutablePointer<Unmanaged<WorkerConnection>>
    let workerCount: Int
    /// The worker that was chosen last.
    let lastChosen = Atomic<UInt32>(0)
    let pool = CallPool()
    /// Nil when no memory for buffers was asked for.
    let buffers: BufferArea?
    private let termEndsNanoseconds: Atomic<Int64>

    /// Why the lease is over; nil while it stands, as far as is known here.
    public var end: LeaseEnd? {
        client.agent.pumpIfDue(now: monotonicNanoseconds())
        return fate.reason
    }

    /// When the term ends.
    public var termEnds: Timestamp {
        Timestamp(nanosecondsSinceEpoch: termEndsNanoseconds.load(ordering: .relaxed))
    }

    /// What is left of the term; zero when the lease is over.
    public var timeLeft: Duration {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let wall = Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
        let (left, overflow) = termEndsNanoseconds.load(ordering: .relaxed).subtractingReportingOverflow(wall)
        return end != nil ? .zero : .nanoseconds(overflow ? .max / 4 : max(0, min(left, .max / 4)))
    }

    init(answer: AgentConnection.Answer, asked: LeaseOptions, client: FallowClient) throws(FallowError) {
        var descriptors = answer.descriptors
        defer { for descriptor in descriptors { Glibc.close(descriptor) } }
        guard answer.reply.kind == .leased, let opened = answer.reply.lease, let fate = answer.fate else {
            throw FallowError(.internalError, "the node's agent answered 'lease' with '\(answer.reply.kind.rawValue)'")
        }
        let opening = LeaseOpening(opened: opened, asked: asked, fate: fate, names: names, agent: client.agent)
        do {
            let connected = try opening.connect(&descriptors)
            workers = connected.workers
            transport = connected.transport
            transportComplaint = connected.complaint
            buffers = connected.buffers
        } catch {
            client.agent.post(.release, leaseID: opened.leaseID)
            client.agent.forget(opened.leaseID)
            throw error
        }
        id = opened.leaseID
        node = opened.node
        cpus = opened.workers
        memory = opened.memory
        inputBytes = opened.inputBytes
        outputBytes = opened.outputBytes
        termEndsNanoseconds = Atomic(opened.termEnds.nanosecondsSinceEpoch)
        self.fate = fate
        self.client = client
        workerCount = workers.count
        workerTable = .allocate(capacity: workers.count)
        for (index, worker) in workers.enumerated() {
            (workerTable + index).initialize(to: .passUnretained(worker))
        }
    }

    deinit {
        if !fate.isOver { client.agent.post(.release, leaseID: id) }
        fate.end(.released)
        for worker in workers { worker.end() }
        client.agent.forget(id)
        workerTable.deallocate()
    }

    /// Asks for a new term, counted from now.
    /// - Returns: when it ends; the site may have granted less.
    public func renew(term: Duration) throws(FallowError) -> Timestamp {
        try ForkGuard.check()
        if fate.isOver { throw FallowError(.leaseEnded, fate.sentence) }
        let ends = try client.agent.renew(id, term: term)
        termEndsNanoseconds.store(ends.nanosecondsSinceEpoch, ordering: .relaxed)
        return ends
    }

    /// Gives the capacity back. Calls in flight end with `outcomeUnknown` or `notStarted`. Blocks until the agent has
    /// confirmed, at most 10 s; the lease is over here in any case. Harmless when done before.
    public func release() throws(FallowError) {
        try ForkGuard.check()
        if fate.isOver { return }
        defer {
            fate.end(.released)
            for worker in workers { worker.end() }
            client.agent.forget(id)
        }
        try client.agent.release(id)
    }
}

/// Turns an agent's answer into connected workers; believes nothing of it that makes no sense.
private struct LeaseOpening {
    let opened: LeaseOpened
    let asked: LeaseOptions
    let fate: LeaseFate
    let names: FunctionNames
    let agent: AgentConnection

    private var geometry: ArenaGeometry {
        ArenaGeometry(
            slotCount: opened.slotCount, inputBytes: opened.inputBytes, outputBytes: opened.outputBytes,
            bufferBytes: opened.bufferBytes ?? 0)
    }

    /// - Parameter descriptors: what came with the answer; what is taken over is removed.
    func connect(_ descriptors: inout [Int32]) throws(FallowError) -> ConnectedWorkers {
        if let complaint = geometry.complaint { throw nonsense(complaint) }
        guard (1...1024).contains(opened.workers) else { throw nonsense("\(opened.workers) workers") }
        guard opened.inputBytes >= asked.inputBytes, opened.outputBytes >= asked.outputBytes else {
            throw nonsense("slots smaller than asked for")
        }
        guard opened.transport == .fabric || opened.bufferBytes ?? 0 >= asked.bufferBytes else {
            throw nonsense("less memory for buffers than asked for")
        }
        switch opened.transport {
        case .shm:
            guard descriptors.count == 1 else {
                throw nonsense("\(descriptors.count) descriptors with shm, not the arena")
            }
            return try connectShm(arena: descriptors.removeFirst())
        case .fabric:
            var connected = try connectNetwork()
            if asked.bufferBytes > 0 { connected.buffers = try BufferArea(byteCount: asked.bufferBytes) }
            return connected
        case .verbs: throw nonsense("verbs is offered beside fabric, not alone")
        case .stream: throw nonsense("stream is for memory")
        }
    }

    private func connectShm(arena descriptor: Int32) throws(FallowError) -> ConnectedWorkers {
        do {
            let arena = try ShmArena(adopting: descriptor, expecting: geometry, workers: opened.workers)
            fate.read { arena.endedReason }
            let buffers = geometry.bufferBytes > 0 ? BufferArea(arena: arena) : nil
            var workers: [WorkerConnection] = []
            for worker in 0..<opened.workers {
                workers.append(
                    ShmConnection(
                        endpoint: try arena.endpoint(worker: worker, side: .client), names: names, fate: fate,
                        agent: agent, buffers: buffers))
            }
            return ConnectedWorkers(workers: workers, buffers: buffers, transport: .shm)
        } catch {
            throw FallowError(.internalError, "the lease's shared memory cannot be used: \(error)")
        }
    }

    private func connectNetwork() throws(FallowError) -> ConnectedWorkers {
        guard let address = opened.address, let secret = opened.secretBytes else {
            throw nonsense("no address or no secret")
        }
        let paths = NetworkPaths(
            opened: opened, fabricAddress: address, secret: secret, geometry: geometry, names: names, fate: fate,
            agent: agent)
        return try paths.connect()
    }

    private func nonsense(_ what: String) -> FallowError {
        FallowError(.internalError, "the node's agent granted a lease that makes no sense: \(what)")
    }
}

extension LeaseOpened {
    /// The secret's 32 bytes; nil when the text is not 64 hexadecimal digits.
    var secretBytes: [UInt8]? { LeaseSecret.bytes(of: secret) }
}
