public import FallowModel
public import FallowReporting
public import FallowWire

/// What the page asks fallowctld for. It decides nothing and counts nothing: the same views and accounts that the commands
/// print.
public protocol WebSource: Sendable {
    func status() async -> ClusterStatus
    func nodes() async -> [NodeView]
    /// Jobs that run.
    func jobs() async -> [JobView]
    /// Leases that run.
    func leases() async -> [LeaseView]
    /// The latest that ended, the last one first.
    func endedLeases(limit: Int) async throws -> [LeaseView]
    /// Slurm's `PrivateData`; everything while slurmctld has not said it.
    func privateData() async -> PrivateData
    func report(_ question: WebQuestion) async throws -> CapacityReport
    func series(_ question: WebQuestion, stepSeconds: Int64, rowLimit: Int) async throws -> CapacitySeries
    /// What keeps the history from being written.
    var historyProblem: String? { get }
}

/// What a report is asked for by the page.
public struct WebQuestion: Sendable, Hashable {
    public var since: Timestamp
    public var until: Timestamp
    /// This job alone.
    public var job: JobID?
    /// Who may see no jobs and shares but their own; nil: everybody's are told, and what is not to be seen is left out later.
    public var viewer: UserID?
    public init(since: Timestamp, until: Timestamp, job: JobID? = nil, viewer: UserID? = nil) {
        self.since = since
        self.until = until
        self.job = job
        self.viewer = viewer
    }
}

/// What of the configuration the page needs.
public struct WebSettings: Sendable {
    public var cluster: String
    public var version: String
    public var operators: [UserID]
    public var readerTokenFile: String?
    public var proxyTokenFile: String?
    /// Chart.js as a file.
    public var chartLibrary: String
    /// A node whose agent said nothing for so long is shown as silent.
    public var silentAfter: Duration
    public init(
        cluster: String, version: String, operators: [UserID], readerTokenFile: String? = nil,
        proxyTokenFile: String? = nil, chartLibrary: String, silentAfter: Duration = .seconds(6)
    ) {
        self.cluster = cluster
        self.version = version
        self.operators = operators
        self.readerTokenFile = readerTokenFile
        self.proxyTokenFile = proxyTokenFile
        self.chartLibrary = chartLibrary
        self.silentAfter = silentAfter
    }
}
