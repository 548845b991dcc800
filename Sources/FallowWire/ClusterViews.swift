public import FallowModel

/// A node as `GET /v1/nodes` shows it.
public struct NodeView: Codable, Sendable {
    public var node: NodeName
    /// Slurm's words for the node's state; nil when slurmctld does not know it or does not answer.
    public var slurmState: String?
    /// Seconds since the agent's last report; nil when it never reported.
    public var lastReportSeconds: Double?
    public var version: String?
    public var cores: Int
    public var memory: ByteCount
    public var allocatedCores: Int
    public var leasedCores: Int
    /// By leases of both kinds.
    public var leasedMemory: ByteCount
    /// Of that, by donors; absent in JSON: not known.
    public var donatedMemory: ByteCount?
    public var offer: Offer
    public var withheldReason: String?
    public var switches: LendingSwitches
    /// Cores' worth of CPU time that jobs used of late, over 5 s or more; nil: not known yet.
    public var usedCores: Double?
    public var pressure: NodePressure?
    /// As in the node's report.
    public var plugin: String?
    public init(
        node: NodeName, slurmState: String?, lastReportSeconds: Double?, version: String?, cores: Int,
        memory: ByteCount, allocatedCores: Int, leasedCores: Int, leasedMemory: ByteCount,
        donatedMemory: ByteCount? = nil, offer: Offer, withheldReason: String?, switches: LendingSwitches,
        usedCores: Double? = nil, pressure: NodePressure? = nil, plugin: String? = nil
    ) {
        self.node = node
        self.slurmState = slurmState
        self.lastReportSeconds = lastReportSeconds
        self.version = version
        self.cores = cores
        self.memory = memory
        self.allocatedCores = allocatedCores
        self.leasedCores = leasedCores
        self.leasedMemory = leasedMemory
        self.donatedMemory = donatedMemory
        self.offer = offer
        self.withheldReason = withheldReason
        self.switches = switches
        self.usedCores = usedCores
        self.pressure = pressure
        self.plugin = plugin
    }
}

/// A job on a node as `GET /v1/jobs` shows it (running ones, and ended ones with `?ended=1`).
public struct JobView: Codable, Sendable {
    public var node: NodeName
    public var job: JobReport
    public init(node: NodeName, job: JobReport) {
        self.node = node
        self.job = job
    }
}

/// A lease as `GET /v1/leases` shows it.
public struct LeaseView: Codable, Sendable {
    public var leaseID: LeaseID
    /// Absent in JSON: functions.
    public var kind: LeaseKind
    public var user: UserID
    public var node: NodeName
    public var clientNode: NodeName
    public var cpus: Int
    public var memory: ByteCount
    public var grantedAt: Timestamp
    public var termEnds: Timestamp
    public var endedAt: Timestamp?
    public var reason: LeaseEnd?
    public var detail: String?
    public var beneath: JobID?
    public var usedCoreSeconds: Double
    public var libraryName: String
    public init(
        leaseID: LeaseID, kind: LeaseKind = .functions, user: UserID, node: NodeName, clientNode: NodeName, cpus: Int,
        memory: ByteCount, grantedAt: Timestamp, termEnds: Timestamp, endedAt: Timestamp?, reason: LeaseEnd?,
        detail: String?, beneath: JobID?, usedCoreSeconds: Double, libraryName: String
    ) {
        self.leaseID = leaseID
        self.kind = kind
        self.user = user
        self.node = node
        self.clientNode = clientNode
        self.cpus = cpus
        self.memory = memory
        self.grantedAt = grantedAt
        self.termEnds = termEnds
        self.endedAt = endedAt
        self.reason = reason
        self.detail = detail
        self.beneath = beneath
        self.usedCoreSeconds = usedCoreSeconds
        self.libraryName = libraryName
    }
}

/// `GET /v1/status`.
public struct ClusterStatus: Codable, Sendable {
    public var cluster: String
    public var version: String
    public var startedAt: Timestamp
    public var nodesReporting: Int
    public var nodesSilent: Int
    public var cores: Int
    public var allocatedCores: Int
    public var leasedCores: Int
    public var offeredCores: Int
    public var leases: Int
    public var slurmAnswers: Bool
    /// When this was said, by fallowctld's clock; absent in JSON: not known.
    public var at: Timestamp?
    public init(
        cluster: String, version: String, startedAt: Timestamp, nodesReporting: Int, nodesSilent: Int, cores: Int,
        allocatedCores: Int, leasedCores: Int, offeredCores: Int, leases: Int, slurmAnswers: Bool,
        at: Timestamp? = nil
    ) {
        self.at = at
        self.cluster = cluster
        self.version = version
        self.startedAt = startedAt
        self.nodesReporting = nodesReporting
        self.nodesSilent = nodesSilent
        self.cores = cores
        self.allocatedCores = allocatedCores
        self.leasedCores = leasedCores
        self.offeredCores = offeredCores
        self.leases = leases
        self.slurmAnswers = slurmAnswers
    }
}

/// `PUT /v1/switches` by an operator: what the whole cluster, or one node, lends from now on. A kind that is not named stays as
/// it is; one that is named for all nodes is named for each.
public struct SwitchChange: Codable, Sendable {
    /// Nil: all nodes.
    public var node: NodeName?
    public var unallocated: Bool?
    public var lent: Bool?
    public init(node: NodeName?, unallocated: Bool? = nil, lent: Bool? = nil) {
        self.node = node
        self.unallocated = unallocated
        self.lent = lent
    }
}
