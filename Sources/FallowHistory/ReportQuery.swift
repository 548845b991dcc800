public import FallowModel

/// What a report is asked for. Times are from `since` to before `until`.
public struct ReportQuery: Sendable, Hashable {
    public var cluster = ""
    public var since: Timestamp
    public var until: Timestamp
    public var nodes: [NodeName] = []
    public var partition: String?
    public var account: String?
    public var user: UserID?
    /// A job, or an array by its id.
    public var job: JobID?
    /// How many nodes and jobs are listed by themselves.
    public var nodeLimit = 20
    public var jobLimit = 20
    /// Who asks: jobs and shares of others are left out; nil: an operator.
    public var viewer: UserID?

    public init(since: Timestamp, until: Timestamp) {
        self.since = since
        self.until = until
    }

    /// Whether the question is about jobs alone, so that capacity, which belongs to nobody, has no place in the answer.
    var isOfJobs: Bool { account != nil || user != nil || job != nil }
    /// Whose jobs may be shown; nil: everybody's.
    var shownUser: UserID? { viewer ?? user }
    /// Nothing can be shown: somebody asks for another's jobs.
    var isOfOthers: Bool { viewer != nil && user != nil && viewer != user }
    /// The UTC hours that touch the time.
    var hours: Range<Int64> {
        let hour: Int64 = 3_600_000_000_000
        let first = since.nanosecondsSinceEpoch / hour
        return first..<max(first, (until.nanosecondsSinceEpoch - 1) / hour + 1)
    }
}
