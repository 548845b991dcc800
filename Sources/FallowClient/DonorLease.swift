public import FallowModel
public import FallowWire
internal import Glibc
internal import Synchronization
internal import TransportShm

/// The memory of one donor. Thread-safe. Ends when released or forgotten.
///
/// On the borrower's node it is a memory file: `duplicateDescriptor` gives a descriptor for `pread` and `pwrite` (the bytes
/// begin behind its control page). On another node it is reached over the network: `introduction`.
public final class DonorLease: Sendable {
    /// How a donor on another node is reached.
    public struct Introduction: Sendable, Hashable {
        /// Where it listens, "host:port".
        public var address: String
        /// Where it listens over verbs as well; nil: nowhere.
        public var verbsAddress: String?
        /// With `verbsAddress`: this node's address to come from; nil leaves it to the routes.
        public var verbsSource: String?
        /// 32 bytes that prove a connect, and never travel.
        public var secret: [UInt8]
    }

    public let id: LeaseID
    public let node: NodeName
    /// Bytes that can be used.
    public let capacityBytes: Int
    /// What the memory was lent from: two leases in unallocated memory share their fate.
    public let pool: LendingPool
    public let transport: TransportKind
    /// Over a network: how to reach the donor. nil with shm.
    public let introduction: Introduction?

    private let client: FallowClient
    private let fate: LeaseFate
    private let file: DonorMemory?
    private let control: DonorControlPage?
    private let termEndsNanoseconds: Atomic<Int64>

    /// Believes nothing of the agent's answer that makes no sense. Its descriptors are taken over.
    init(answer: AgentConnection.Answer, asked: ByteCount, client: FallowClient) throws(FallowError) {
        var descriptors = answer.descriptors
        defer { for descriptor in descriptors { close(descriptor) } }
        guard answer.reply.kind == .leased, let opened = answer.reply.lease, let fate = answer.fate else {
            throw FallowError(.internalError, "the node's agent answered 'lease' with '\(answer.reply.kind.rawValue)'")
        }
        do throws(FallowError) {
            func nonsense(_ what: String) -> FallowError {
                FallowError(.internalError, "the node's agent granted a lease that makes no sense: \(what)")
            }
            guard opened.kind == .memory else {
                throw nonsense("of \(opened.kind.rawValue), where memory was asked for")
            }
            guard opened.memory >= asked, opened.memory.bytes <= DonorMemoryLayout.largestCapacityBytes else {
                throw nonsense("\(opened.memory) where \(asked) were asked for")
            }
            let capacity = Int(opened.memory.bytes)
            switch opened.transport {
            case .shm:
                guard descriptors.count == 1 else { throw nonsense("\(descriptors.count) descriptors with shm") }
                let descriptor = descriptors.removeFirst()
                do {
                    let file = try DonorMemory(adopting: descriptor, capacityBytes: capacity)
                    control = try DonorControlPage(of: file.descriptor, capacityBytes: capacity)
                    self.file = file
                } catch { throw nonsense("\(error)") }
                introduction = nil
            case .stream:
                guard let address = opened.address, let secret = opened.secretBytes else {
                    throw nonsense("no address or no secret")
                }
                introduction = Introduction(
                    address: address, verbsAddress: opened.verbsAddress, verbsSource: opened.verbsSource, secret: secret
                )
                file = nil
                control = nil
            case .fabric, .verbs: throw nonsense("\(opened.transport.rawValue), over which no donor listens")
            }
            capacityBytes = capacity
        } catch {
            client.agent.post(.release, leaseID: opened.leaseID)
            client.agent.forget(opened.leaseID)
            throw error
        }
        id = opened.leaseID
        node = opened.node
        pool = opened.pool ?? .unallocated
        transport = opened.transport
        termEndsNanoseconds = Atomic(opened.termEnds.nanosecondsSinceEpoch)
        self.fate = fate
        self.client = client
    }

    deinit {
        if !fate.isOver { client.agent.post(.release, leaseID: id) }
        client.agent.forget(id)
    }

    /// Why the lease is over; nil while it stands. Over shared memory the donor's own word counts, which changes before the
    /// first byte goes; else what the agent has said up to some milliseconds ago.
    public var end: LeaseEnd? {
        if let number = control?.endedReason { fate.end(LeaseEnd(number: number) ?? .withdrawn, isAgentsWord: true) }
        if !fate.isOver { client.agent.pumpIfDue(now: monotonicNanoseconds()) }
        return fate.reason
    }

    /// Sleeps until the lease is over, at most so long.
    /// - Returns: why it is over; nil: it stands.
    public func waitForEnd(atMost timeout: Duration) -> LeaseEnd? {
        if end == nil { client.agent.hear(of: fate, atMost: timeout) }
        return end
    }

    /// When the term ends.
    public var termEnds: Timestamp {
        Timestamp(nanosecondsSinceEpoch: termEndsNanoseconds.load(ordering: .relaxed))
    }

    /// With shm: a descriptor of the memory file, the caller's to close.
    /// - Throws: `.invalid` over a network, `.internalError` when the process has no descriptor left.
    public func duplicateDescriptor() throws(FallowError) -> Int32 {
        guard let file else { throw FallowError(.invalid, "a donor on another node has no memory file here") }
        let copy = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else {
            throw FallowError(
                .internalError, "the donor's memory file cannot be duplicated: \(String(cString: strerror(errno)))")
        }
        return copy
    }

    /// With shm: the word that becomes nonzero before the first byte is taken away, valid as long as this object lives; nil
    /// over a network.
    public var reclaimedWord: UnsafePointer<UInt32>? { control?.reclaimedWord }

    /// Asks for a new term, counted from now.
    /// - Returns: when it ends; the site may have granted less.
    public func renew(term: Duration) throws(FallowError) -> Timestamp {
        if end != nil { throw FallowError(.leaseEnded, fate.sentence) }
        let ends = try client.agent.renew(id, term: term)
        termEndsNanoseconds.store(ends.nanosecondsSinceEpoch, ordering: .relaxed)
        return ends
    }

    /// Gives the memory back; nothing can be read or written afterwards. Blocks until the agent has confirmed, at most 10 s.
    /// Harmless when done before.
    public func release() throws(FallowError) {
        try ForkGuard.check()
        if end != nil { return }
        defer {
            fate.end(.released)
            client.agent.forget(id)
        }
        try client.agent.release(id)
    }
}
