/// What the user of `fallow top` has chosen: a value that keys change.
public struct TopState: Sendable {
    public var view = TopView.nodes
    /// Of the rows that are shown after the filter.
    public var selected = 0
    /// The first row on the screen.
    public var first = 0
    /// The column sorted by, of each view.
    var sorted: [TopView: Int] = [.nodes: 0, .leases: 3]
    var reversed = false
    public var filter = ""
    /// Keys go into the filter.
    public var isTyping = false
    public var showsHelp = false

    public init() {}

    /// What a key asks for that is not the state's.
    public enum Wish: Sendable { case nothing, quit, suspend, refresh }

    static let columnCounts: [TopView: Int] = [
        .nodes: TopTable.nodes([]).columns.count,
        .leases: TopTable.leases([], at: .init(secondsSinceEpoch: 0), userName: { "\($0)" }).columns.count,
    ]

    /// - Parameter page: how many rows the screen holds.
    public mutating func on(_ key: TopKey, page: Int) -> Wish {
        switch key {
        case .control("c"): return .quit
        case .control("z"): return .suspend
        case .control("l"): return .refresh
        default: break
        }
        if isTyping {
            type(key)
            return .nothing
        }
        if showsHelp {
            showsHelp = false
            return key == .character("q") ? .quit : .nothing
        }
        let columns = Self.columnCounts[view] ?? 1
        switch key {
        case .character("q"), .character("Q"): return .quit
        case .character("?"), .character("h"): showsHelp = true
        case .character("/"): isTyping = true
        case .escape: filter = ""
        case .up, .character("k"): selected -= 1
        case .down, .character("j"): selected += 1
        case .pageUp, .control("b"): selected -= max(1, page)
        case .pageDown, .control("f"), .character(" "): selected += max(1, page)
        case .home, .character("g"): selected = 0
        case .end, .character("G"): selected = .max
        case .left, .character("<"): sort(by: ((sorted[view] ?? 0) + columns - 1) % columns)
        case .right, .character(">"): sort(by: ((sorted[view] ?? 0) + 1) % columns)
        case .character("r"), .character("R"): reversed.toggle()
        case .tab, .character("l"), .character("n"): turn(key)
        case .character(let digit):
            if let number = digit.wholeNumberValue, (1...columns).contains(number) { sort(by: number - 1) }
        default: break
        }
        return .nothing
    }

    private mutating func type(_ key: TopKey) {
        switch key {
        case .enter: isTyping = false
        case .escape: (isTyping, filter) = (false, "")
        case .backspace: if !filter.isEmpty { filter.removeLast() }
        case .control("u"): filter = ""
        case .character(let character): if filter.count < 200 { filter.append(character) }
        default: return
        }
        selected = 0
    }

    private mutating func sort(by column: Int) {
        sorted[view] = column
        reversed = false
    }

    private mutating func turn(_ key: TopKey) {
        let other: TopView =
            key == .tab ? (view == .nodes ? .leases : .nodes) : key == .character("l") ? .leases : .nodes
        guard other != view else { return }
        (view, selected, first, reversed) = (other, 0, 0, false)
    }

    /// Keeps the selection among the rows there are and on the screen.
    mutating func settle(rows: Int, page: Int) {
        selected = max(0, min(selected, rows - 1))
        first = min(first, selected)
        first = max(first, selected - max(1, page) + 1)
        first = max(0, min(first, max(0, rows - max(1, page))))
    }
}
