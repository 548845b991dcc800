public import FallowModel
public import FallowWire

/// A lease as the co-scheduler keeps it, from its grant to its end.
public struct ClusterLease: Sendable, Hashable {
    public enum Phase: Sendable, Hashable {
        /// Its capacity is reserved until the node shows it, or shows after `obeyBefore` that it never will.
        case granted(obeyBefore: Timestamp)
        /// The node's latest report shows it.
        case running
    }
    public var leaseID: LeaseID
    public var kind: LeaseKind
    public var requestID: UInt64
    public var user: UserID
    public var node: NodeName
    public var clientNode: NodeName
    public var cpus: Int
    /// With `kind` memory: what the borrower can use.
    public var memory: ByteCount
    /// What memory it was granted from; nil: not known here.
    public var grantedPool: LendingPool?
    public var libraryName: String
    public var grantedAt: Timestamp
    public var termEnds: Timestamp
    public var phase: Phase
    /// Set once somebody asked for its end; the node is told until it shows that it obeyed.
    public var endRequested: LeaseEnd?
    /// The node's latest word on it.
    public var report: LeaseReport?

    public init(
        leaseID: LeaseID, kind: LeaseKind = .functions, requestID: UInt64, user: UserID, node: NodeName,
        clientNode: NodeName, cpus: Int, memory: ByteCount, grantedPool: LendingPool? = nil, libraryName: String,
        grantedAt: Timestamp, termEnds: Timestamp, phase: Phase, endRequested: LeaseEnd? = nil,
        report: LeaseReport? = nil
    ) {
        self.leaseID = leaseID
        self.kind = kind
        self.requestID = requestID
        self.user = user
        self.node = node
        self.clientNode = clientNode
        self.cpus = cpus
        self.memory = memory
        self.grantedPool = grantedPool
        self.libraryName = libraryName
        self.grantedAt = grantedAt
        self.termEnds = termEnds
        self.phase = phase
        self.endRequested = endRequested
        self.report = report
    }

    /// What it takes of its node's memory.
    var footprint: ByteCount { demand.footprint }

    /// What it would be asked for with.
    var demand: LeaseDemand { LeaseDemand(kind: kind, cpus: cpus, memory: memory, libraryName: libraryName) }

    /// What memory it lies in: as its node reports, else as it was granted; nil: not known.
    var pool: LendingPool? { report.map { LendingPool(beneath: $0.beneath) } ?? grantedPool }
}

/// What the ledger must hear of; everything else is read from the state.
public enum ClusterDirective: Sendable, Hashable {
    /// The node shows the lease for the first time.
    case started(ClusterLease, at: Timestamp)
    /// A node reports a lease that was not known, as after a restart of the co-scheduler.
    case adopted(ClusterLease)
    /// The lease is over.
    case ended(ClusterLease, at: Timestamp, reason: LeaseEnd, detail: String?)
}

/// A node as its reports and slurmctld describe it.
struct ClusterNode: Sendable {
    var report: NodeReport
    var receivedAt: Timestamp
    var silent = false
    /// Cores' worth of CPU time that jobs used of late; nil: not known yet.
    var usedCores: Double?
    /// Whence `usedCores` is measured.
    private var usedSince: (at: Timestamp, coreSeconds: Double)

    init(report: NodeReport, receivedAt: Timestamp, after known: ClusterNode? = nil) {
        self.report = report
        self.receivedAt = receivedAt
        let used = report.integrals.usedCoreSeconds
        guard let known, known.report.instance == report.instance else {
            usedSince = (report.at, used)
            return
        }
        usedCores = known.usedCores
        usedSince = known.usedSince
        let seconds = (report.at - usedSince.at).inSeconds
        guard seconds >= 5 else { return }
        usedCores = max(0, used - usedSince.coreSeconds) / seconds
        usedSince = (report.at, used)
    }
}
