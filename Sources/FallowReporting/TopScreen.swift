public import FallowModel

/// One row of the screen: its text, no wider than the screen, and how it looks.
public struct TopLine: Hashable, Sendable {
    public enum Look: Sendable { case plain, title, selected, alarm }
    public var text: String
    public var look: Look
    public init(text: String, look: Look = .plain) {
        self.text = text
        self.look = look
    }
}

/// `fallow top`'s picture: a value made of a snapshot and a state, whatever the terminal.
public struct TopScreen {
    public var columns: Int
    public var rows: Int
    /// What is wrong at the moment: fallowctld does not answer.
    public var problem: String?
    public var userName: (UserID) -> String
    public var localTime: (Timestamp) -> String

    public init(
        columns: Int, rows: Int, problem: String? = nil, userName: @escaping (UserID) -> String,
        localTime: @escaping (Timestamp) -> String
    ) {
        self.columns = max(1, columns)
        self.rows = max(1, rows)
        self.problem = problem
        self.userName = userName
        self.localTime = localTime
    }

    /// How many rows of the table the screen holds.
    public var page: Int { max(0, rows - 4) }

    /// Exactly `rows` lines.
    public func lines(_ snapshot: TopSnapshot?, _ state: inout TopState) -> [TopLine] {
        if state.showsHelp { return filled(Self.help.map { TopLine(text: $0) }) }
        guard let snapshot else {
            return filled([TopLine(text: problem ?? "asking fallowctld ...", look: problem == nil ? .plain : .alarm)])
        }
        let table = table(snapshot, state.view)
        let sorted = state.sorted[state.view] ?? 0
        let shown = table.arranged(filter: state.filter, sortedBy: sorted, reversed: state.reversed)
        state.settle(rows: shown.count, page: page)
        let layout = layout(table, shown, sorted: sorted)
        var lines = [TopLine(text: heading(snapshot)), TopLine(text: cores(snapshot))]
        if let problem { lines[1] = TopLine(text: problem, look: .alarm) }
        lines.append(TopLine(text: padded(layout.line(layout.titles, table)), look: .title))
        for (index, row) in shown.enumerated().dropFirst(state.first).prefix(page) {
            let text = layout.line(row.cells.map(\.text), table)
            lines.append(
                index == state.selected
                    ? TopLine(text: padded(text), look: .selected)
                    : TopLine(text: text, look: row.isAlarming ? .alarm : .plain))
        }
        let selected = shown.indices.contains(state.selected) ? shown[state.selected] : nil
        return filled(lines, last: foot(state, shown: shown.count, of: table.rows.count, note: selected?.note))
    }

    /// Everything, for pipes: as wide and as long as it is.
    public static func text(
        _ snapshot: TopSnapshot, view: TopView, userName: @escaping (UserID) -> String,
        localTime: @escaping (Timestamp) -> String
    ) -> String {
        let screen = TopScreen(columns: 10_000, rows: 100, userName: userName, localTime: localTime)
        let table = screen.table(snapshot, view)
        let sorted = TopState().sorted[view] ?? 0
        let rows = table.arranged(filter: "", sortedBy: sorted, reversed: false)
        let layout = screen.layout(table, rows, sorted: nil)
        let lines = [screen.heading(snapshot), screen.summary(snapshot)] + [layout.line(layout.titles, table)]
        return (lines + rows.map { layout.line($0.cells.map(\.text), table) })
            .map { trimmed($0) + "\n" }.joined() + rows.compactMap(\.note).map { $0 + "\n" }.joined()
    }

    private func table(_ snapshot: TopSnapshot, _ view: TopView) -> TopTable {
        switch view {
        case .nodes: .nodes(snapshot.nodes)
        case .leases: .leases(snapshot.leases, at: snapshot.at, userName: userName)
        }
    }

    private func heading(_ snapshot: TopSnapshot) -> String {
        let status = snapshot.status
        let time = localTime(snapshot.at).suffix(8)
        var text = "\(status.cluster)  \(time)  \(status.nodesReporting) nodes"
        if status.nodesSilent > 0 { text += ", \(status.nodesSilent) silent" }
        text += ", \(status.leases) leases"
        return status.slurmAnswers ? text : text + ", slurmctld does not answer"
    }

    private func summary(_ snapshot: TopSnapshot) -> String {
        let status = snapshot.status
        return "\(status.cores) cores: \(status.allocatedCores) jobs #, \(status.leasedCores) leased +, "
            + "\(status.offeredCores) offered ."
    }

    private func cores(_ snapshot: TopSnapshot) -> String {
        let status = snapshot.status
        let words = summary(snapshot)
        let room = columns - words.count - 4
        guard room >= 8 else { return words }
        let parts = [status.allocatedCores, status.leasedCores, status.offeredCores]
        return words + "  [" + bar(parts, of: status.cores, width: min(60, room)) + "]"
    }

    private func foot(_ state: TopState, shown: Int, of all: Int, note: String?) -> TopLine {
        if state.isTyping { return TopLine(text: "/\(state.filter)_") }
        let filter = state.filter.isEmpty ? "" : "/\(state.filter)  \(shown) of \(all)  "
        return TopLine(
            text: filter
                + (note ?? "q quit  ? help  / filter  <> sort  tab \(state.view == .nodes ? "leases" : "nodes")"))
    }

    static let help = [
        "fallow top", "", "up down j k    select      PgUp PgDn Home End", "left right < > sort by another column",
        "1 2 3 ...      sort by that column", "r              the other way round",
        "/              filter; Enter keeps, Esc clears", "tab n l        nodes, leases", "q Ctrl-C       quit",
        "Ctrl-L Ctrl-Z  draw anew, suspend", "", "# held by jobs  + leased  . on offer", "any key goes back",
    ]

    /// `rows` lines of at most `columns` characters.
    private func filled(_ lines: [TopLine], last: TopLine? = nil) -> [TopLine] {
        var all = Array(lines.prefix(last == nil ? rows : rows - 1))
        while all.count < rows - (last == nil ? 0 : 1) { all.append(TopLine(text: "")) }
        if let last { all.append(last) }
        return all.map { TopLine(text: clipped(Self.printable($0.text)), look: $0.look) }
    }

    private func clipped(_ text: String) -> String { text.count <= columns ? text : String(text.prefix(columns)) }
    private func padded(_ text: String) -> String {
        text + String(repeating: " ", count: max(0, columns - text.count))
    }

    /// Names come from others: no control characters of theirs reach the terminal.
    static func printable(_ text: String) -> String {
        String(
            text.map {
                $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value) } ? $0 : "?"
            })
    }
    private static func trimmed(_ text: String) -> String {
        var text = printable(text)
        while text.last == " " { text.removeLast() }
        return text
    }
}
