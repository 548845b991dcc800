internal import FallowModel
internal import FallowReporting

/// A node's tile as `tile.mustache` draws it: parts in percent of its cores, one beside the other.
struct TileView: Sendable {
    var node: String
    /// Of the style: how it is seen, and whether its tasks wait.
    var look: String
    /// 0 for the one that the keyboard comes to, -1 for those that arrow keys go to.
    var tabIndex: Int
    var label: String
    var fact: String
    var used: Double
    var leasedAt: Double
    var leased: Double
    var heldAt: Double
    var held: Double

    init(_ tile: NodeTile, isFirst: Bool) {
        node = tile.node
        look = [tile.seen == .reporting ? nil : tile.seen.rawValue, tile.isPressed ? "pressed" : nil]
            .compactMap { $0 }.joined(separator: " ")
        tabIndex = isFirst ? 0 : -1
        let all = Double(max(1, tile.cores))
        func percent(_ cores: Double) -> Double { (cores / all * 1000).rounded() / 10 }
        used = percent(tile.used)
        leasedAt = used
        leased = percent(tile.leased)
        heldAt = percent(tile.used + tile.leased)
        held = percent(tile.held)
        let words = tile.seen == .reporting ? "" : tile.seen == .silent ? ", its agent is silent" : ", no agent reports"
        label =
            "\(tile.node): \(tile.cores) cores, \(decimal(tile.used)) used, \(decimal(tile.leased, 0)) lent, "
            + "\(decimal(tile.held)) held and not used, \(decimal(tile.free)) free\(words)"
        fact = tile.cores > 0 ? "\(decimal(tile.used, tile.cores < 20 ? 1 : 0)) of \(tile.cores)" : "–"
    }

    static func views(_ tiles: [NodeTile]) -> [TileView] {
        tiles.enumerated().map { TileView($1, isFirst: $0 == 0) }
    }
}

/// Leases as the page first shows them; the live list takes over.
struct BoardView: Sendable {
    struct Row: Sendable {
        var id: String
        var kind: String
        var user: String
        var node: String
        var cores: Int
        var memory: String
        var beneath: UInt32?
        var at: Moment
        var words: String?
        var revoked: Bool
    }
    var running: [Row]
    var hasRunning: Bool
    var ended: [Row]
    var hasEnded: Bool
    var count: Int
    var hidden: Int?

    init(_ board: LeaseBoard) {
        func row(_ lease: LeaseRow, at seconds: Double) -> Row {
            Row(
                id: lease.id, kind: lease.kind, user: lease.user, node: lease.node, cores: lease.cores,
                memory: lease.memory, beneath: lease.beneath, at: Moment(.init(secondsSinceEpoch: seconds)),
                words: lease.words, revoked: lease.revoked)
        }
        running = board.running.map { row($0, at: $0.termEnds) }
        ended = board.ended.map { row($0, at: $0.ended ?? 0) }
        hasRunning = !running.isEmpty
        hasEnded = !ended.isEmpty
        count = board.count
        hidden = board.hidden > 0 ? board.hidden : nil
    }
}
