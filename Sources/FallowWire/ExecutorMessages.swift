public import FallowModel

/// What an agent tells an executor over its control socket (descriptor 3, a Unix SOCK_SEQPACKET pair), one JSON object
/// a packet. It carries descriptors in this order: the library; then, with shm, the arena.
public struct ExecutorAssignment: Codable, Sendable {
    public var leaseID: LeaseID
    /// The lease's secret in hexadecimal: 32 bytes.
    public var secret: String
    public var workers: Int
    /// The CPU each worker is pinned to; empty when the lease is not pinned.
    public var cpus: MachineCPUSet
    public var transport: TransportKind
    /// With `fabric`: the address to listen on, without a port.
    public var bindAddress: String?
    /// With `fabric`: the address to listen on over verbs as well; nil: not over verbs.
    public var verbsAddress: String?
    public var slotCount: Int
    public var inputBytes: Int
    public var outputBytes: Int
    /// For messages; the library itself comes as a descriptor.
    public var libraryName: String
    /// How long a worker polls before it sleeps.
    public var pollMicroseconds: Int

    public init(
        leaseID: LeaseID, secret: String, workers: Int, cpus: MachineCPUSet, transport: TransportKind,
        bindAddress: String?, verbsAddress: String? = nil, slotCount: Int, inputBytes: Int, outputBytes: Int,
        libraryName: String, pollMicroseconds: Int
    ) {
        self.leaseID = leaseID
        self.secret = secret
        self.workers = workers
        self.cpus = cpus
        self.transport = transport
        self.bindAddress = bindAddress
        self.verbsAddress = verbsAddress
        self.slotCount = slotCount
        self.inputBytes = inputBytes
        self.outputBytes = outputBytes
        self.libraryName = libraryName
        self.pollMicroseconds = pollMicroseconds
    }
}

/// What an executor answers, once. Afterwards the socket is the lifeline: its end ends the executor.
public struct ExecutorReport: Codable, Sendable {
    /// With `fabric`: where it listens.
    public var address: String?
    /// Where it listens over verbs as well.
    public var verbsAddress: String?
    /// Why it does not although it was told to; no reason not to serve.
    public var verbsComplaint: String?
    /// Why it cannot serve; nil when it is ready.
    public var error: WireError?

    public init(
        address: String? = nil, verbsAddress: String? = nil, verbsComplaint: String? = nil, error: WireError? = nil
    ) {
        self.address = address
        self.verbsAddress = verbsAddress
        self.verbsComplaint = verbsComplaint
        self.error = error
    }
}
