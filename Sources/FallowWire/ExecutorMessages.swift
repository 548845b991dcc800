public import FallowModel

/// What an agent tells an executor over its control socket (descriptor 3, a Unix SOCK_SEQPACKET pair), one JSON object
/// a packet: whom to become, once and first, then what to serve. The user may be known before the lease is: an executor
/// that stands ready becomes him while the co-scheduler is asked.
public enum ExecutorOrder: Codable, Sendable {
    case become(entry: ExecutorEntry)
    /// Alone where the process was started as its user.
    case serve(assignment: ExecutorAssignment)
}

/// The lease that an executor serves. The packet carries descriptors in this order: the library; then, with shm, the arena.
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
    /// How long a worker polls at most before it sleeps.
    public var pollMicroseconds: Int
    /// Of its workers' time, how many percent the lease may poll without a call coming of it soon; nil is 50.
    public var pollPercent: Int?
    /// Bytes of memory for buffers; nil is none.
    public var bufferBytes: Int?

    public init(
        leaseID: LeaseID, secret: String, workers: Int, cpus: MachineCPUSet, transport: TransportKind,
        bindAddress: String?, verbsAddress: String? = nil, slotCount: Int, inputBytes: Int, outputBytes: Int,
        libraryName: String, pollMicroseconds: Int, pollPercent: Int? = nil, bufferBytes: Int? = nil
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
        self.pollPercent = pollPercent
        self.bufferBytes = bufferBytes
    }
}

/// Whom an executor becomes before it loads the library, and within what. Everything was looked up by the agent.
public struct ExecutorEntry: Codable, Sendable, Hashable {
    public var uid: UserID
    public var gid: UInt32
    /// All groups, the primary one included.
    public var groups: [UInt32]
    /// For the environment: USER and HOME.
    public var name: String
    public var home: String
    /// Where it must be by /proc/self/cgroup: a controller's name, or nothing for cgroup v2, and how its path ends.
    public var cgroups: [String: String]
    /// Device files to keep in its /dev besides the standard ones.
    public var devices: [String]
    public var openFiles: Int
    /// The largest file that it may write.
    public var fileSize: ByteCount?
    /// Whether it may lock (and register) as much memory as its cgroup allows; else the agent's limit is inherited.
    public var unlimitedLockedMemory: Bool

    public init(
        uid: UserID, gid: UInt32, groups: [UInt32], name: String, home: String, cgroups: [String: String],
        devices: [String] = [], openFiles: Int, fileSize: ByteCount?, unlimitedLockedMemory: Bool = false
    ) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.name = name
        self.home = home
        self.cgroups = cgroups
        self.devices = devices
        self.openFiles = openFiles
        self.fileSize = fileSize
        self.unlimitedLockedMemory = unlimitedLockedMemory
    }
}

/// What an executor says: that it has made ready for an assignment (where it was told to prepare); that it has entered its
/// lease (where it was told whom to become); then, once, whether it serves.
/// Afterwards the socket is the lifeline: its end ends the executor.
public struct ExecutorReport: Codable, Sendable {
    /// It has loaded what can be loaded ahead, and waits.
    public var isPrepared: Bool?
    /// It is its user now, and what follows is the user's: the library is loaded next.
    public var hasEntered: Bool?
    /// With `fabric`: where it listens.
    public var address: String?
    /// Where it listens over verbs as well.
    public var verbsAddress: String?
    /// Why it does not although it was told to; no reason not to serve.
    public var verbsComplaint: String?
    /// Why it cannot serve; nil when it is ready.
    public var error: WireError?
    /// What took how long, for whoever measures: phase → microseconds.
    public var microseconds: [String: Int]?

    public init(
        isPrepared: Bool? = nil, hasEntered: Bool? = nil, address: String? = nil, verbsAddress: String? = nil,
        verbsComplaint: String? = nil, error: WireError? = nil, microseconds: [String: Int]? = nil
    ) {
        self.isPrepared = isPrepared
        self.hasEntered = hasEntered
        self.address = address
        self.verbsAddress = verbsAddress
        self.verbsComplaint = verbsComplaint
        self.error = error
        self.microseconds = microseconds
    }
}
