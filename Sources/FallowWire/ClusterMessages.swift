public import FallowModel

/// What the co-scheduler answers to a node's report: what the agent should know and do.
public struct NodeInstructions: Codable, Sendable {
    /// Slurm's view of the node; nil while slurmctld does not answer.
    public var slurm: SlurmNodeView?
    /// Leases that the agent must end: released at the co-scheduler, or unknown there.
    public var end: [LeaseEndNotice]
    /// Site switches set with `fallow enable`/`disable`.
    public var switches: LendingOverride
    /// Drawn at random when the co-scheduler starts; a new one asks for full reports.
    public var controllerInstance: UInt64
    public init(
        slurm: SlurmNodeView?, end: [LeaseEndNotice], switches: LendingOverride, controllerInstance: UInt64
    ) {
        self.slurm = slurm
        self.end = end
        self.switches = switches
        self.controllerInstance = controllerInstance
    }
}

/// A node as slurmctld sees it.
public struct SlurmNodeView: Codable, Sendable, Hashable {
    /// When slurmctld was asked.
    public var at: Timestamp
    /// Slurm's state in its own words, `IDLE+DRAIN`.
    public var state: String
    /// False when the node is down, drained or draining, reserved, powering down, rebooting or in maintenance.
    public var mayLend: Bool
    public var cores: Int
    public var memory: ByteCount
    public var jobs: [SlurmJobView]
    public init(at: Timestamp, state: String, mayLend: Bool, cores: Int, memory: ByteCount, jobs: [SlurmJobView]) {
        self.at = at
        self.state = state
        self.mayLend = mayLend
        self.cores = cores
        self.memory = memory
        self.jobs = jobs
    }
}

/// A job on a node as slurmctld sees it.
public struct SlurmJobView: Codable, Sendable, Hashable {
    public var jobID: JobID
    public var user: UserID
    /// Abstract core ids on this node.
    public var cores: AbstractCoreSet
    public var memory: ByteCount
    /// RUNNING, COMPLETING or SUSPENDED: the job still holds its resources.
    public var state: String
    public var startedAt: Timestamp?
    /// Slurm's expected end (start + time limit); nil when unlimited.
    public var expectedEnd: Timestamp?
    public var exclusive: Bool
    public var nodeCount: Int
    public init(
        jobID: JobID, user: UserID, cores: AbstractCoreSet, memory: ByteCount, state: String, startedAt: Timestamp?,
        expectedEnd: Timestamp?, exclusive: Bool, nodeCount: Int
    ) {
        self.jobID = jobID
        self.user = user
        self.cores = cores
        self.memory = memory
        self.state = state
        self.startedAt = startedAt
        self.expectedEnd = expectedEnd
        self.exclusive = exclusive
        self.nodeCount = nodeCount
    }
}

/// An agent asks for a lease on behalf of a local client (`POST /v1/leases`).
public struct LeaseRequest: Codable, Sendable {
    /// Random; a repeated request with the same id gets the same answer, so that a retry leases nothing twice.
    public var requestID: UInt64
    /// The client's uid by SO_PEERCRED.
    public var user: UserID
    public var fromNode: NodeName
    /// Where the target agent reaches the client's agent.
    public var fromAgentURL: String
    public var demand: LeaseDemand
    /// Whether the receipt may be a letter of the session; nil: no, a MUNGE credential (agents of before there were letters).
    public var readsLetters: Bool?
    public init(
        requestID: UInt64, user: UserID, fromNode: NodeName, fromAgentURL: String, demand: LeaseDemand,
        readsLetters: Bool? = nil
    ) {
        self.requestID = requestID
        self.user = user
        self.fromNode = fromNode
        self.fromAgentURL = fromAgentURL
        self.demand = demand
        self.readsLetters = readsLetters
    }
}

/// The answer to `POST /v1/leases`. The secret stands only inside `grant` and `receipt`, which are encrypted.
public struct LeaseGranted: Codable, Sendable {
    public var leaseID: LeaseID
    public var node: NodeName
    /// The target agent.
    public var agentURL: String
    public var termEnds: Timestamp
    /// For the target agent, a `Grant` in JSON: a MUNGE credential; obeyed once. On the client's own node, whose agent obeys the
    /// receipt, the same text, and nothing where that is a letter.
    public var grant: String
    /// For the client's agent, the same `Grant`: a letter of the session between it and the co-scheduler where it reads
    /// letters and they have one, else a MUNGE credential.
    public var receipt: String
    public init(
        leaseID: LeaseID, node: NodeName, agentURL: String, termEnds: Timestamp, grant: String, receipt: String
    ) {
        self.leaseID = leaseID
        self.node = node
        self.agentURL = agentURL
        self.termEnds = termEnds
        self.grant = grant
        self.receipt = receipt
    }
}

/// The co-scheduler's word that a lease may be opened on a node.
public struct Grant: Codable, Sendable {
    public var leaseID: LeaseID
    /// The one node that may obey it.
    public var node: NodeName
    public var user: UserID
    public var demand: LeaseDemand
    /// The lease's secret, 32 bytes in hexadecimal.
    public var secret: String
    public var termEnds: Timestamp
    /// After this the grant must not be obeyed any more.
    public var obeyBefore: Timestamp
    public var clientNode: NodeName
    public var clientAgentURL: String
    /// With memory: what it is lent from, there and nowhere else; nil: wherever the node finds room.
    public var pool: LendingPool?
    public init(
        leaseID: LeaseID, node: NodeName, user: UserID, demand: LeaseDemand, secret: String, termEnds: Timestamp,
        obeyBefore: Timestamp, clientNode: NodeName, clientAgentURL: String, pool: LendingPool? = nil
    ) {
        self.leaseID = leaseID
        self.node = node
        self.user = user
        self.demand = demand
        self.secret = secret
        self.termEnds = termEnds
        self.obeyBefore = obeyBefore
        self.clientNode = clientNode
        self.clientAgentURL = clientAgentURL
        self.pool = pool
    }
}

/// The client's agent asks the target agent to open a granted lease (`POST /v1/executors`). The library must be in the
/// target's cache (`PUT /v1/libraries/{uid}/{sha256}`, 404 in the answer to `HEAD` when it is not). With memory there is no
/// library, and the hash is empty.
public struct ExecutorRequest: Codable, Sendable {
    public var grant: String
    public var librarySHA256: String
    public init(grant: String, librarySHA256: String) {
        self.grant = grant
        self.librarySHA256 = librarySHA256
    }
}

/// The target agent's answer: the executor, or the donor, runs.
public struct ExecutorOpened: Codable, Sendable {
    public var leaseID: LeaseID
    /// Where it listens.
    public var address: String
    /// Where it listens over verbs as well; nil: nowhere.
    public var verbsAddress: String?
    public init(leaseID: LeaseID, address: String, verbsAddress: String? = nil) {
        self.leaseID = leaseID
        self.address = address
        self.verbsAddress = verbsAddress
    }
}

/// The target agent tells the client's agent that a lease is over (`POST /v1/leases/{id}/ended`), and the client's agent
/// tells the target agent to end one (`DELETE /v1/executors/{id}`, with this as body).
public struct LeaseEndNotice: Codable, Sendable {
    public var leaseID: LeaseID
    public var reason: LeaseEnd
    public init(leaseID: LeaseID, reason: LeaseEnd) {
        self.leaseID = leaseID
        self.reason = reason
    }
}

/// A longer term (`POST /v1/leases/{id}/renew`); the answer is a `LeaseRenewed` whose grant the client's agent carries to the
/// target agent (`POST /v1/executors/{id}/renew`).
public struct LeaseRenewal: Codable, Sendable {
    public var termSeconds: Double
    public init(termSeconds: Double) { self.termSeconds = termSeconds }
}

public struct LeaseRenewed: Codable, Sendable {
    public var leaseID: LeaseID
    public var termEnds: Timestamp
    /// A MUNGE credential for the target agent, its payload a `Grant` with the new term.
    public var grant: String
    public init(leaseID: LeaseID, termEnds: Timestamp, grant: String) {
        self.leaseID = leaseID
        self.termEnds = termEnds
        self.grant = grant
    }
}
