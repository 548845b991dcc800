public import FallowModel

/// What a client asks of its node's agent over client.sock, one JSON object a line.
///
/// `id` is chosen by the client and comes back in the answer. A `lease` message carries one descriptor: the library,
/// opened by the client with the user's own rights.
public struct LocalRequest: Codable, Sendable {
    public enum Kind: String, Codable, Sendable { case lease, renew, release, status, adopt, userfaultfd }

    public var id: UInt64
    public var kind: Kind
    /// With `lease`.
    public var lease: LeaseDemand?
    /// With `renew` and `release`.
    public var leaseID: LeaseID?
    /// With `renew`: the term asked for, from now on.
    public var termSeconds: Double?
    /// With `adopt` that names no lease: how much of what waits for the caller's job; nil is all that the job said.
    public var memory: ByteCount?
    /// With `adopt` that names no lease: how long to wait for capacity, when it has to be asked for.
    public var waitSeconds: Double?

    public init(
        id: UInt64, kind: Kind, lease: LeaseDemand? = nil, leaseID: LeaseID? = nil, termSeconds: Double? = nil,
        memory: ByteCount? = nil, waitSeconds: Double? = nil
    ) {
        self.id = id
        self.kind = kind
        self.lease = lease
        self.leaseID = leaseID
        self.termSeconds = termSeconds
        self.memory = memory
        self.waitSeconds = waitSeconds
    }
}

/// What a client wants to lease. Zero or nil means the site's default.
public struct LeaseDemand: Codable, Sendable, Hashable {
    /// What for; absent in JSON: functions.
    public var kind: LeaseKind
    /// Cores, one worker each; none with memory.
    public var cpus: Int
    /// Memory for the executor with all its workers; with `kind` memory: bytes that the borrower can use.
    public var memory: ByteCount
    public var termSeconds: Double
    /// How long to wait for capacity.
    public var waitSeconds: Double
    public var slotCount: Int
    public var inputBytes: Int
    public var outputBytes: Int
    /// This node only.
    public var node: NodeName?
    /// Any node but the client's own.
    public var remote: Bool
    /// The library's file name, for messages and reports; not a path that anybody opens.
    public var libraryName: String
    /// Bytes of memory for buffers; nil is none.
    public var bufferBytes: Int?
    /// How long a worker may poll for the next call before it sleeps, within the site's limit; 0 is never, nil the site's limit.
    public var pollSeconds: Double?
    /// With `kind` memory: leases whose fate must not be shared. Two share it on one node, and wherever both lie in memory
    /// that no job holds, since one large job takes both, or beneath one job. nil is none.
    public var avoid: [LeaseID]?

    /// What a demand may avoid at most.
    public static let avoidedAtMost = 1024

    public init(
        kind: LeaseKind = .functions, cpus: Int = 1, memory: ByteCount = .mebibytes(512), termSeconds: Double = 0,
        waitSeconds: Double = 0,
        slotCount: Int = 16, inputBytes: Int = 1 << 20, outputBytes: Int = 1 << 20, node: NodeName? = nil,
        remote: Bool = false, libraryName: String, bufferBytes: Int? = nil, pollSeconds: Double? = nil,
        avoid: [LeaseID]? = nil
    ) {
        self.kind = kind
        self.cpus = cpus
        self.memory = memory
        self.termSeconds = termSeconds
        self.waitSeconds = waitSeconds
        self.slotCount = slotCount
        self.inputBytes = inputBytes
        self.outputBytes = outputBytes
        self.node = node
        self.remote = remote
        self.libraryName = libraryName
        self.bufferBytes = bufferBytes
        self.pollSeconds = pollSeconds
        self.avoid = avoid
    }
}

extension LeaseDemand {
    /// How long a worker of such a lease may poll: as long as it wishes, within what the site allows.
    public func pollMicroseconds(allowed: Int) -> Int {
        guard let pollSeconds else { return allowed }
        return min(allowed, Int(min(max(0, pollSeconds), 1) * 1e6))
    }
}

/// What the agent says to a client: an answer (with the request's `id`) or, without one, an event.
public struct LocalReply: Codable, Sendable {
    public enum Kind: String, Codable, Sendable {
        /// Answers `lease`, and `adopt` with a lease; carries one descriptor when the transport is shm: the arena, or the donor's
        /// memory file.
        case leased
        /// Answers `adopt` without a lease.
        case adopted
        /// Answers `userfaultfd`; carries one descriptor: /dev/userfaultfd.
        case userfaultfd
        case renewed, released, status, error
        /// An event: the lease is over.
        case ended
    }

    public var id: UInt64?
    public var kind: Kind
    public var lease: LeaseOpened?
    public var leaseID: LeaseID?
    public var reason: LeaseEnd?
    public var termEnds: Timestamp?
    public var status: AgentStatus?
    public var adopted: AdoptedLeases?
    public var error: WireError?

    public init(
        id: UInt64? = nil, kind: Kind, lease: LeaseOpened? = nil, leaseID: LeaseID? = nil, reason: LeaseEnd? = nil,
        termEnds: Timestamp? = nil, status: AgentStatus? = nil, adopted: AdoptedLeases? = nil, error: WireError? = nil
    ) {
        self.id = id
        self.kind = kind
        self.lease = lease
        self.leaseID = leaseID
        self.reason = reason
        self.termEnds = termEnds
        self.status = status
        self.adopted = adopted
        self.error = error
    }
}

/// Leases that waited for the caller's job and are the caller's now: each is fetched with an `adopt` that names it.
public struct AdoptedLeases: Codable, Sendable {
    public var leaseIDs: [LeaseID]
    /// Whether the job said `durable`.
    public var isDurable: Bool

    public init(leaseIDs: [LeaseID], isDurable: Bool) {
        self.leaseIDs = leaseIDs
        self.isDurable = isDurable
    }
}

/// How the client reaches a lease's workers.
public enum TransportKind: String, Codable, Sendable, Hashable {
    /// Client and executor on one node: a memfd.
    case shm
    /// libfabric.
    case fabric
    /// RDMA devices on both nodes.
    case verbs
    /// Donors on another node: a TCP connection.
    case stream
}

/// A lease as the client needs it.
public struct LeaseOpened: Codable, Sendable {
    public var leaseID: LeaseID
    public var node: NodeName
    /// What for; absent in JSON: functions.
    public var kind: LeaseKind
    /// Workers, each with an endpoint of its own; none with memory.
    public var workers: Int
    /// With `kind` memory: bytes that the borrower can use.
    public var memory: ByteCount
    public var termEnds: Timestamp
    public var transport: TransportKind
    /// With `fabric`: where the executor listens, "host:port".
    public var address: String?
    /// With `fabric`: where it listens over verbs as well; the client uses that where it can. nil: nowhere.
    public var verbsAddress: String?
    /// With `verbsAddress`: this node's address on the device that the site named, which the client comes from; nil leaves
    /// it to the routes.
    public var verbsSource: String?
    /// The lease's secret in hexadecimal: 32 bytes. It proves a connect and never travels on the data plane.
    public var secret: String
    public var slotCount: Int
    public var inputBytes: Int
    public var outputBytes: Int
    /// With `shm`: bytes of memory for buffers; nil is none.
    public var bufferBytes: Int?
    /// With `kind` memory: what the donor's memory was lent from.
    public var pool: LendingPool?

    public init(
        leaseID: LeaseID, node: NodeName, kind: LeaseKind = .functions, workers: Int, memory: ByteCount,
        termEnds: Timestamp, transport: TransportKind, address: String?, verbsAddress: String? = nil,
        verbsSource: String? = nil, secret: String, slotCount: Int, inputBytes: Int, outputBytes: Int,
        bufferBytes: Int? = nil, pool: LendingPool? = nil
    ) {
        self.leaseID = leaseID
        self.node = node
        self.kind = kind
        self.workers = workers
        self.memory = memory
        self.termEnds = termEnds
        self.transport = transport
        self.address = address
        self.verbsAddress = verbsAddress
        self.verbsSource = verbsSource
        self.secret = secret
        self.slotCount = slotCount
        self.inputBytes = inputBytes
        self.outputBytes = outputBytes
        self.bufferBytes = bufferBytes
        self.pool = pool
    }
}

/// Why a lease ended.
public enum LeaseEnd: String, Codable, Sendable, Hashable {
    /// The client gave it back.
    case released
    /// The client's process or its connection ended.
    case clientGone
    /// The term passed.
    case expired
    /// The owner needs the cores or the memory.
    case reclaimed
    /// Slurm drains the node, or the site switched lending off.
    case withdrawn
    /// The executor (or donor) crashed, was killed, or could not load the library; its last words say more.
    case executorDied
    /// The executor used more memory than the lease has.
    case outOfMemory
    /// The node's agent stopped or lost its co-scheduler for too long.
    case agentGone
}

/// A node's agent in brief.
public struct AgentStatus: Codable, Sendable {
    public var node: NodeName
    public var version: String
    /// Leases of the asking user through this agent.
    public var leases: Int
    /// Whether the co-scheduler answers.
    public var controllerReachable: Bool
    /// What a donor holds for whose size nothing is said; nil: the agent knows of no donors.
    public var donorSize: ByteCount?
    /// What became of the `--remote-mem` of the caller's job, as `FALLOW_REMOTE_MEM_GRANTED` says it; nil: the caller is in no job
    /// that said it, or the agent knows of none.
    public var remoteMemory: String?
    /// What is known of which CPUs Slurm's cores are: `logical` (they are only counted), `unproven`, `proven` or `refuted`; nil: an older
    /// agent does not say it.
    public var coreMapping: String?

    public init(
        node: NodeName, version: String, leases: Int, controllerReachable: Bool, donorSize: ByteCount? = nil,
        remoteMemory: String? = nil, coreMapping: String? = nil
    ) {
        self.node = node
        self.version = version
        self.leases = leases
        self.controllerReachable = controllerReachable
        self.donorSize = donorSize
        self.remoteMemory = remoteMemory
        self.coreMapping = coreMapping
    }
}

/// An error that crosses a process boundary: a code to match and a sentence to read.
public struct WireError: Error, Codable, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Codable, Sendable, Hashable {
        case invalid, noCapacity, refused, libraryUnusable, notFound, unavailable, tooMany, conflict, internalError
    }
    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
    public var description: String { message }
}
