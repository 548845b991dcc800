internal import FallowModel
internal import FallowReporting

extension OverviewPage {
    /// The page with what is now; a report is added by `add`.
    init(
        frame: PageFrame, span: Span, now: Timestamp, tiles: [NodeTile], figures: Figures, board: LeaseBoard,
        sight: Sight
    ) {
        self.init(
            frame: frame,
            spans: Span.allCases.map { Choice(value: $0.rawValue, title: $0.title, isChosen: $0 == span) },
            span: span.rawValue, spanTitle: span.title, since: Moment(now + .seconds(-span.seconds)),
            until: Moment(now), figures: FiguresView(figures), hasNodes: !tiles.isEmpty,
            tiles: sight.nodes ? TileView.views(tiles) : [], isDense: tiles.count > Self.largeTiles,
            hidesNodes: !sight.nodes, slurmIsSilent: !figures.slurmAnswers, board: BoardView(board),
            hidesUsage: !sight.usage, hidesJobs: !sight.jobs)
    }

    /// As many tiles have names and numbers in them; more are small.
    static let largeTiles = 64
}

/// The cluster's sums as texts, in the same form as the live ones.
struct FiguresView: Sendable {
    var nodes: String
    var reporting: String
    var cores: String
    var used: String
    var usedPercent: String
    var leased: String
    var held: String
    var free: String
    var offered: String
    var leases: String
    var usedWidth: Double
    var leasedWidth: Double
    var heldAt: Double
    var heldWidth: Double

    init(_ figures: Figures) {
        func width(_ value: Double) -> Double {
            figures.cores > 0 ? (value / Double(figures.cores) * 1000).rounded() / 10 : 0
        }
        nodes = Self.text(Double(figures.nodes))
        reporting = Self.text(Double(figures.reporting))
        cores = Self.text(Double(figures.cores))
        used = Self.text(figures.used)
        usedPercent = decimal(width(figures.used), 0)
        leased = Self.text(figures.leased)
        held = Self.text(figures.held)
        free = Self.text(figures.free)
        offered = Self.text(Double(figures.offered))
        leases = Self.text(Double(figures.leases))
        usedWidth = width(figures.used)
        leasedWidth = width(figures.leased)
        heldAt = width(figures.used + figures.leased)
        heldWidth = width(figures.held)
    }

    /// `7.5`, `128`, `1,024`.
    static func text(_ value: Double) -> String {
        Digits.grouped(decimal(value, value >= 100 || value == value.rounded() ? 0 : 1))
    }
}
