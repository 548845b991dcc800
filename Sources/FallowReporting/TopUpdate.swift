/// What has to be sent to a terminal so that it shows other lines than before: the rows that differ, between the marks of a synchronized
/// update, which terminals that know them show at once and others ignore.
public struct TopUpdate {
    private var shown: [TopLine] = []
    private var columns = 0
    public var color: Bool

    public init(color: Bool) { self.color = color }

    /// What is on the screen is not known any more.
    public mutating func forget() { shown = [] }

    /// - Returns: nothing when the screen shows these lines already.
    public mutating func bytes(for lines: [TopLine], columns: Int) -> String {
        let anew = lines.count != shown.count || columns != self.columns
        var text = ""
        for (row, line) in lines.enumerated() where anew || line != shown[row] {
            // Cleared first: a full row leaves the cursor in its last cell, and clearing from there would take it.
            text += "\u{1b}[\(row + 1);1H\u{1b}[2K" + styled(line)
        }
        (shown, self.columns) = (lines, columns)
        guard !text.isEmpty else { return "" }
        return "\u{1b}[?2026h" + (anew ? "\u{1b}[H\u{1b}[2J" : "") + text + "\u{1b}[?2026l"
    }

    private func styled(_ line: TopLine) -> String {
        let code =
            switch line.look {
            case .plain: ""
            case .title: "7"
            case .selected: "1;7"
            case .alarm: color ? "1;31" : "1"
            }
        return code.isEmpty ? line.text : "\u{1b}[\(code)m\(line.text)\u{1b}[0m"
    }
}
