public import FallowModel

/// `GET /v1/report`: what became of capacity over a time.
///
/// Capacity is known to 10 s, a minute or an hour, the older the coarser. Jobs' sums, leases, gaps and reclaims are
/// counted by whole UTC hours: those of `hoursSince` to `hoursUntil`.
public struct CapacityReport: Codable, Sendable {
    public var cluster: String
    public var since: Timestamp
    public var until: Timestamp
    public var hoursSince: Timestamp
    public var hoursUntil: Timestamp
    public var nodeCount: Int
    public var cores: Int
    public var memory: ByteCount
    /// All chosen nodes together; nil where the question was about jobs alone.
    public var total: CapacityUse?
    /// Nodes by themselves, those first that left most unused, as many as were asked for.
    public var nodes: [Node]
    /// All chosen jobs together.
    public var jobTotal: JobTotal
    /// The jobs that left most unused, as many as were asked for.
    public var jobs: [JobUse]
    /// Idle gaps that jobs ended, of the whole cluster: no job on the node, and some core free.
    public var nodeGaps: Gaps?
    public var coreGaps: Gaps?
    public var leases: [LeaseTally]
    public var reclaims: Reclaims?
    public var lenders: [Share]
    public var borrowers: [Share]
    /// What the history could not write down.
    public var losses: [Loss]

    /// One node over the report's time.
    public struct Node: Codable, Sendable {
        public var node: NodeName
        public var cores: Int
        public var memory: ByteCount
        public var use: CapacityUse
        public init(node: NodeName, cores: Int, memory: ByteCount, use: CapacityUse) {
            self.node = node
            self.cores = cores
            self.memory = memory
            self.use = use
        }
    }
    /// Jobs' sums.
    public struct JobTotal: Codable, Sendable, Hashable {
        public var heldCoreSeconds = 0.0
        public var usedCoreSeconds = 0.0
        public var lentCoreSeconds = 0.0
        public var heldByteSeconds = 0.0
        public var usedByteSeconds = 0.0
        public var lentByteSeconds = 0.0
        public init() {}
    }
    public struct Gaps: Codable, Sendable, Hashable {
        public var count: Int
        public var medianSeconds: Double
        public var p90Seconds: Double
        /// A lease of this length, begun at a random idle moment, is over before its gap nine times in ten.
        public var fittingTermSeconds: Double
        public init(count: Int, medianSeconds: Double, p90Seconds: Double, fittingTermSeconds: Double) {
            self.count = count
            self.medianSeconds = medianSeconds
            self.p90Seconds = p90Seconds
            self.fittingTermSeconds = fittingTermSeconds
        }
    }
    /// Leases that ended, by reason.
    public struct LeaseTally: Codable, Sendable, Hashable {
        public var reason: String
        public var count: Int
        public var coreSeconds: Double
        public var usedCoreSeconds: Double
        public init(reason: String, count: Int, coreSeconds: Double, usedCoreSeconds: Double) {
            self.reason = reason
            self.count = count
            self.coreSeconds = coreSeconds
            self.usedCoreSeconds = usedCoreSeconds
        }
    }
    /// How long owners waited for their cores.
    public struct Reclaims: Codable, Sendable, Hashable {
        public var count: Int
        public var medianMicroseconds: Double
        public var p99Microseconds: Double
        /// Beyond the promise of 10 ms.
        public var late: Int
        public init(count: Int, medianMicroseconds: Double, p99Microseconds: Double, late: Int) {
            self.count = count
            self.medianMicroseconds = medianMicroseconds
            self.p99Microseconds = p99Microseconds
            self.late = late
        }
    }
    /// A user's part in lending or borrowing.
    public struct Share: Codable, Sendable, Hashable {
        public var user: UserID
        public var coreSeconds: Double
        public var byteSeconds: Double
        public init(user: UserID, coreSeconds: Double, byteSeconds: Double) {
            self.user = user
            self.coreSeconds = coreSeconds
            self.byteSeconds = byteSeconds
        }
    }
    public struct Loss: Codable, Sendable, Hashable {
        public var since: Timestamp
        public var until: Timestamp
        public var writes: Int
        /// What was in the way, in one sentence.
        public var reason: String
        public init(since: Timestamp, until: Timestamp, writes: Int, reason: String) {
            self.since = since
            self.until = until
            self.writes = writes
            self.reason = reason
        }
    }

    public init(
        cluster: String, since: Timestamp, until: Timestamp, hoursSince: Timestamp, hoursUntil: Timestamp,
        nodeCount: Int = 0, cores: Int = 0, memory: ByteCount = .zero, total: CapacityUse? = nil, nodes: [Node] = [],
        jobTotal: JobTotal = JobTotal(), jobs: [JobUse] = [], nodeGaps: Gaps? = nil, coreGaps: Gaps? = nil,
        leases: [LeaseTally] = [], reclaims: Reclaims? = nil, lenders: [Share] = [], borrowers: [Share] = [],
        losses: [Loss] = []
    ) {
        self.cluster = cluster
        self.since = since
        self.until = until
        self.hoursSince = hoursSince
        self.hoursUntil = hoursUntil
        self.nodeCount = nodeCount
        self.cores = cores
        self.memory = memory
        self.total = total
        self.nodes = nodes
        self.jobTotal = jobTotal
        self.jobs = jobs
        self.nodeGaps = nodeGaps
        self.coreGaps = coreGaps
        self.leases = leases
        self.reclaims = reclaims
        self.lenders = lenders
        self.borrowers = borrowers
        self.losses = losses
    }
}

/// Where core time and memory went. The parts add up: `core` is used + unused + unallocated + down + unwatched.
public struct CapacityUse: Codable, Sendable, Hashable {
    public var coreSeconds = 0.0
    public var usedCoreSeconds = 0.0
    /// Held by jobs, and not used.
    public var unusedCoreSeconds = 0.0
    /// Held by no job.
    public var unallocatedCoreSeconds = 0.0
    /// Withheld by Slurm: down, drained, powered off.
    public var downCoreSeconds = 0.0
    /// No agent reported.
    public var unwatchedCoreSeconds = 0.0
    /// Held by leases: a part of what was unused or unallocated.
    public var lentCoreSeconds = 0.0
    /// CPU time that leases used.
    public var recoveredCoreSeconds = 0.0
    /// Of the watched time alone.
    public var byteSeconds = 0.0
    public var usedByteSeconds = 0.0
    public var unusedByteSeconds = 0.0
    public var unallocatedByteSeconds = 0.0
    public var lentByteSeconds = 0.0
    public init() {}
}

/// A job over all its nodes and runs, whole, also where it began before the report's time.
public struct JobUse: Codable, Sendable, Hashable {
    public var facts: JobFacts
    public var user: UserID
    public var nodes: Int
    /// More than one where it was requeued.
    public var runs: Int
    public var cores: Int
    /// The most held and the most used on one node.
    public var memory: ByteCount
    public var peakMemory: ByteCount
    public var firstSeenAt: Timestamp
    public var lastSeenAt: Timestamp
    public var ended: Bool
    /// Whether use was measured everywhere.
    public var measured: Bool
    public var serverless: String?
    public var heldCoreSeconds: Double
    public var usedCoreSeconds: Double
    public var lentCoreSeconds: Double
    public var heldByteSeconds: Double
    public var usedByteSeconds: Double
    public var lentByteSeconds: Double
    public init(
        facts: JobFacts, user: UserID, nodes: Int, runs: Int, cores: Int, memory: ByteCount, peakMemory: ByteCount,
        firstSeenAt: Timestamp, lastSeenAt: Timestamp, ended: Bool, measured: Bool, serverless: String?,
        heldCoreSeconds: Double, usedCoreSeconds: Double, lentCoreSeconds: Double, heldByteSeconds: Double,
        usedByteSeconds: Double, lentByteSeconds: Double
    ) {
        self.facts = facts
        self.user = user
        self.nodes = nodes
        self.runs = runs
        self.cores = cores
        self.memory = memory
        self.peakMemory = peakMemory
        self.firstSeenAt = firstSeenAt
        self.lastSeenAt = lastSeenAt
        self.ended = ended
        self.measured = measured
        self.serverless = serverless
        self.heldCoreSeconds = heldCoreSeconds
        self.usedCoreSeconds = usedCoreSeconds
        self.lentCoreSeconds = lentCoreSeconds
        self.heldByteSeconds = heldByteSeconds
        self.usedByteSeconds = usedByteSeconds
        self.lentByteSeconds = lentByteSeconds
    }
}
