public import FallowModel

/// What an agent tells the co-scheduler: on change, and every few seconds (`POST /v1/nodes/{node}/report`).
///
/// Integrals (`…Seconds`) are cumulative since the agent's start, so a lost or repeated report costs nothing.
public struct NodeReport: Codable, Sendable {
    public var node: NodeName
    /// Where other agents reach this one: `http://host:port`.
    public var agentURL: String
    public var version: String
    /// Drawn at random when the agent starts; a new one means that everything that ran before is gone.
    public var instance: UInt64
    /// Rising within an instance; an older report than the last one seen is ignored.
    public var sequence: UInt64
    public var at: Timestamp
    public var instanceStartedAt: Timestamp
    /// What the node has, by Slurm's count where known.
    public var cores: Int
    public var memory: ByteCount
    /// What the agent would lend now, leases that run not counted in.
    public var offer: Offer
    /// What memory may be leased from each pool, unallocated first; pools with none may be missing. nil: an agent that has no
    /// donors.
    public var memoryPools: [MemoryOffer]?
    /// Why nothing is offered although something lies idle, in one sentence; nil when nothing stands in the way.
    public var withheldReason: String?
    public var switches: LendingSwitches
    public var integrals: NodeIntegrals
    /// Jobs on the node, and those that ended since the last report that was answered.
    public var jobs: [JobReport]
    /// Leases that run.
    public var leases: [LeaseReport]
    /// Leases that ended and reclaims that happened since the last report that was answered.
    public var ended: [LeaseEnded]
    public var reclaims: [ReclaimReport]
    /// nil: the kernel does not measure it.
    public var pressure: NodePressure?
    /// The build of the plugin that steps load, 16 hexadecimal digits; nil: not known yet.
    public var plugin: String?

    public init(
        node: NodeName, agentURL: String, version: String, instance: UInt64, sequence: UInt64, at: Timestamp,
        instanceStartedAt: Timestamp, cores: Int, memory: ByteCount, offer: Offer, memoryPools: [MemoryOffer]? = nil,
        withheldReason: String?, switches: LendingSwitches, integrals: NodeIntegrals, jobs: [JobReport],
        leases: [LeaseReport],
        ended: [LeaseEnded], reclaims: [ReclaimReport], pressure: NodePressure? = nil,
        plugin: String? = nil
    ) {
        self.node = node
        self.agentURL = agentURL
        self.version = version
        self.instance = instance
        self.sequence = sequence
        self.at = at
        self.instanceStartedAt = instanceStartedAt
        self.cores = cores
        self.memory = memory
        self.offer = offer
        self.memoryPools = memoryPools
        self.withheldReason = withheldReason
        self.switches = switches
        self.integrals = integrals
        self.jobs = jobs
        self.leases = leases
        self.ended = ended
        self.reclaims = reclaims
        self.pressure = pressure
        self.plugin = plugin
    }
}

/// How much of the last 10 seconds some task of the node waited for a resource, in percent (PSI); nil: not measured.
public struct NodePressure: Codable, Sendable, Hashable {
    public var cpuPercent: Double?
    public var memoryPercent: Double?
    public var ioPercent: Double?
    public init(cpuPercent: Double? = nil, memoryPercent: Double? = nil, ioPercent: Double? = nil) {
        self.cpuPercent = cpuPercent
        self.memoryPercent = memoryPercent
        self.ioPercent = ioPercent
    }
}

/// Cores and memory that may be leased now.
public struct Offer: Codable, Sendable, Hashable {
    public var cores: Int
    public var memory: ByteCount
    public init(cores: Int = 0, memory: ByteCount = .zero) {
        self.cores = cores
        self.memory = memory
    }
}

/// Memory that may be leased now from one pool.
public struct MemoryOffer: Codable, Sendable, Hashable {
    public var pool: LendingPool
    public var memory: ByteCount
    public init(pool: LendingPool, memory: ByteCount) {
        self.pool = pool
        self.memory = memory
    }
}

/// Which kinds of leftover the site lends; nothing by default.
public struct LendingSwitches: Codable, Sendable, Hashable {
    /// Held by no job.
    public var unallocated: Bool
    /// Held by a job that said `--serverless`, and promised or measured unused.
    public var lent: Bool
    public init(unallocated: Bool = false, lent: Bool = false) {
        self.unallocated = unallocated
        self.lent = lent
    }
}

/// What an operator switched; nil in a kind leaves it to the node's own configuration.
public struct LendingOverride: Codable, Sendable, Hashable {
    public var unallocated: Bool?
    public var lent: Bool?
    public init(unallocated: Bool? = nil, lent: Bool? = nil) {
        self.unallocated = unallocated
        self.lent = lent
    }

    /// What rules where the configuration says `own`.
    public func applied(to own: LendingSwitches) -> LendingSwitches {
        LendingSwitches(unallocated: unallocated ?? own.unallocated, lent: lent ?? own.lent)
    }
}

/// A node's use since the agent's start.
public struct NodeIntegrals: Codable, Sendable, Hashable {
    public var elapsedSeconds: Double
    /// Held by jobs.
    public var allocatedCoreSeconds: Double
    /// CPU time that jobs used.
    public var usedCoreSeconds: Double
    /// Held by leases (whether the function computed or waited).
    public var lentCoreSeconds: Double
    /// CPU time that leases used.
    public var recoveredCoreSeconds: Double
    public var allocatedByteSeconds: Double
    public var usedByteSeconds: Double
    public var lentByteSeconds: Double
    public init(
        elapsedSeconds: Double = 0, allocatedCoreSeconds: Double = 0, usedCoreSeconds: Double = 0,
        lentCoreSeconds: Double = 0, recoveredCoreSeconds: Double = 0, allocatedByteSeconds: Double = 0,
        usedByteSeconds: Double = 0, lentByteSeconds: Double = 0
    ) {
        self.elapsedSeconds = elapsedSeconds
        self.allocatedCoreSeconds = allocatedCoreSeconds
        self.usedCoreSeconds = usedCoreSeconds
        self.lentCoreSeconds = lentCoreSeconds
        self.recoveredCoreSeconds = recoveredCoreSeconds
        self.allocatedByteSeconds = allocatedByteSeconds
        self.usedByteSeconds = usedByteSeconds
        self.lentByteSeconds = lentByteSeconds
    }
}

/// One job on one node.
public struct JobReport: Codable, Sendable, Hashable {
    public var jobID: JobID
    public var user: UserID
    /// Slurm's core ids that the job holds here.
    public var cores: AbstractCoreSet
    public var memory: ByteCount
    /// As the job said it: `auto`, `no`, `cpus=2,mem=4G`; nil when it said nothing.
    public var serverless: String?
    /// As the job said it: `64G,cache`; nil when it said nothing.
    public var remoteMemory: String?
    public var firstSeenAt: Timestamp
    public var endedAt: Timestamp?
    /// Whether the use below was measured; false while no step of the job was seen here (allocated but silent).
    public var measured: Bool
    public var heldCoreSeconds: Double
    public var usedCoreSeconds: Double
    public var lentCoreSeconds: Double
    public var heldByteSeconds: Double
    public var usedByteSeconds: Double
    public var lentByteSeconds: Double
    public var peakMemory: ByteCount
    /// What may be leased beneath the job at this moment.
    public var lending: Offer

    public init(
        jobID: JobID, user: UserID, cores: AbstractCoreSet, memory: ByteCount, serverless: String? = nil,
        remoteMemory: String? = nil, firstSeenAt: Timestamp, endedAt: Timestamp? = nil, measured: Bool = false,
        heldCoreSeconds: Double = 0, usedCoreSeconds: Double = 0, lentCoreSeconds: Double = 0,
        heldByteSeconds: Double = 0, usedByteSeconds: Double = 0, lentByteSeconds: Double = 0,
        peakMemory: ByteCount = .zero, lending: Offer = Offer()
    ) {
        self.jobID = jobID
        self.user = user
        self.cores = cores
        self.memory = memory
        self.serverless = serverless
        self.remoteMemory = remoteMemory
        self.firstSeenAt = firstSeenAt
        self.endedAt = endedAt
        self.measured = measured
        self.heldCoreSeconds = heldCoreSeconds
        self.usedCoreSeconds = usedCoreSeconds
        self.lentCoreSeconds = lentCoreSeconds
        self.heldByteSeconds = heldByteSeconds
        self.usedByteSeconds = usedByteSeconds
        self.lentByteSeconds = lentByteSeconds
        self.peakMemory = peakMemory
        self.lending = lending
    }
}

/// A lease that runs on a node.
public struct LeaseReport: Codable, Sendable, Hashable {
    public var leaseID: LeaseID
    /// Absent in JSON: functions.
    public var kind: LeaseKind
    public var user: UserID
    public var cores: AbstractCoreSet
    public var memory: ByteCount
    public var startedAt: Timestamp
    public var termEnds: Timestamp
    /// The job whose unused resources it stands in; nil when it stands in unallocated ones.
    public var beneath: JobID?
    public var usedCoreSeconds: Double
    public var libraryName: String
    public init(
        leaseID: LeaseID, kind: LeaseKind = .functions, user: UserID, cores: AbstractCoreSet, memory: ByteCount,
        startedAt: Timestamp, termEnds: Timestamp, beneath: JobID?, usedCoreSeconds: Double, libraryName: String
    ) {
        self.leaseID = leaseID
        self.kind = kind
        self.user = user
        self.cores = cores
        self.memory = memory
        self.startedAt = startedAt
        self.termEnds = termEnds
        self.beneath = beneath
        self.usedCoreSeconds = usedCoreSeconds
        self.libraryName = libraryName
    }
}

/// A lease that ended on a node.
public struct LeaseEnded: Codable, Sendable, Hashable {
    public var lease: LeaseReport
    public var at: Timestamp
    public var reason: LeaseEnd
    /// The executor's last words or exit, when they say more than the reason.
    public var detail: String?
    public init(lease: LeaseReport, at: Timestamp, reason: LeaseEnd, detail: String? = nil) {
        self.lease = lease
        self.at = at
        self.reason = reason
        self.detail = detail
    }
}

/// Capacity that an owner took back.
public struct ReclaimReport: Codable, Sendable, Hashable {
    public var at: Timestamp
    public var jobID: JobID
    public var stepID: StepID
    public var leases: [LeaseID]
    /// From the plugin's question to the last of our processes gone.
    public var vacateMicroseconds: Int
    /// Processes that did not die in time; frozen, their capacity withheld.
    public var stuckProcesses: Int
    public init(
        at: Timestamp, jobID: JobID, stepID: StepID, leases: [LeaseID], vacateMicroseconds: Int, stuckProcesses: Int
    ) {
        self.at = at
        self.jobID = jobID
        self.stepID = stepID
        self.leases = leases
        self.vacateMicroseconds = vacateMicroseconds
        self.stuckProcesses = stuckProcesses
    }
}
