/// What `overview.mustache` shows. Every text in it is plain: the template escapes.
struct OverviewPage: Sendable {
    struct Choice: Sendable {
        var value: String
        var title: String
        var isChosen: Bool
    }
    /// A part of the core or memory time of the report.
    struct Part: Sendable {
        var kind: String
        var name: String
        var hours: String
        var percent: String
        var width: Double
        var isOf = false
    }
    struct ShareRow: Sendable {
        var name: String
        var hours: String
        var width: Double
    }
    struct NodeRow: Sendable {
        var name: String
        var all: String
        var used: String
        var unused: String
        var unallocated: String
        var down: String
        var lent: String
        var recovered: String
    }
    struct StepRow: Sendable {
        var at: Moment
        var used: String
        var recovered: String
        var white: String
        var down: String
        var unwatched: String
        var lent: String
    }
    struct GapRow: Sendable {
        var name: String
        var nodes: Int64
        var cores: Int64
    }
    struct JobRow: Sendable {
        var id: UInt32
        var name: String
        var user: String
        var account: String
        var state: String
        var isRunning: Bool
        var cores: Int
        var elapsed: String
        var held: String
        var efficiency: String
        var lent: String
        var memory: String
    }
    struct ReasonRow: Sendable {
        var words: String
        var count: Int
        var hours: String
        var revoked: Bool
    }
    struct Promise: Sendable {
        var count: Int
        var median: String
        var p99: String
        var late: Int
        var kept: Bool
    }
    struct GapFacts: Sendable {
        var of: String
        var count: Int
        var median: String
        var p90: String
        var term: String
    }

    var frame: PageFrame
    var spans: [Choice]
    var span: String
    var spanTitle: String
    var since: Moment
    var until: Moment

    var figures: FiguresView
    var hasNodes: Bool
    var tiles: [TileView] = []
    var isDense: Bool
    var hidesNodes: Bool
    var slurmIsSilent: Bool
    var historyProblem: String?

    var hasReport = false
    var nodeCount = 0
    var coreHours = ""
    var recoveredHours = ""
    var recoveredWorth = ""
    var whiteHours = ""
    var whitePercent = ""
    var parts: [Part] = []
    var memoryParts: [Part] = []
    var stepRows: [StepRow] = []
    var nodeRows: [NodeRow] = []
    var moreNodes: Int?
    var gapFacts: [GapFacts] = []
    var gapRows: [GapRow] = []
    var hasGaps = false

    var board: BoardView
    var reasons: [ReasonRow] = []
    var hasReasons = false
    var promise: Promise?
    var lenders: [ShareRow] = []
    var borrowers: [ShareRow] = []
    var hasLenders = false
    var hasBorrowers = false
    var hidesUsage: Bool
    var jobs: [JobRow] = []
    var hasJobs = false
    var hidesJobs: Bool
    var notes: [String] = []
    var hasNotes = false
}
