/// Text in columns, as Slurm's commands print it: headers, then rows, two spaces between columns.
public struct Table {
    public enum Side { case left, right }

    private let columns: [(title: String, side: Side)]
    private var rows: [[String]] = []

    public init(_ columns: [(title: String, side: Side)]) { self.columns = columns }

    public mutating func add(_ cells: String...) { add(cells) }
    public mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count, "a row has as many cells as there are columns")
        rows.append(cells)
    }

    public var isEmpty: Bool { rows.isEmpty }

    /// The whole table, with a newline at its end.
    public var text: String {
        let lines = [columns.map(\.title)] + rows
        return Self.text(lines, columns, widths: widths(lines))
    }

    /// The whole table in at most `limit` columns of text, as far as cutting cells of the columns with these titles, the widest first,
    /// makes it so. Titles stay whole; a cell that was cut ends with `~`.
    public func text(within limit: Int, cutting titles: [String]) -> String {
        var lines = [columns.map(\.title)] + rows
        var widths = widths(lines)
        let mayCut = columns.indices.filter { titles.contains(columns[$0].title) }
        while widths.reduce(2 * (widths.count - 1), +) > limit,
            let widest = mayCut.filter({ widths[$0] > columns[$0].title.count }).max(by: { widths[$0] < widths[$1] })
        {
            widths[widest] -= 1
        }
        for line in lines.indices {
            for column in columns.indices where lines[line][column].count > widths[column] {
                lines[line][column] = lines[line][column].prefix(max(0, widths[column] - 1)) + "~"
            }
        }
        return Self.text(lines, columns, widths: widths)
    }

    private func widths(_ lines: [[String]]) -> [Int] {
        columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    }

    private static func text(
        _ lines: [[String]], _ columns: [(title: String, side: Side)], widths: [Int]
    ) -> String {
        lines.map { line in
            let cells = line.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - line[column].count)
                return columns[column].side == .left ? line[column] + padding : padding + line[column]
            }
            var text = cells.joined(separator: "  ")
            while text.last == " " { text.removeLast() }
            return text + "\n"
        }.joined()
    }
}

/// A number with a fixed count of decimals; `-` for what is no number.
public func decimal(_ value: Double, _ places: Int = 1) -> String {
    guard value.isFinite else { return "-" }
    let scale = (0..<places).reduce(1.0) { product, _ in product * 10 }
    // Beyond what is exact, decimals mean nothing.
    guard value.magnitude * scale < 9e15 else { return "\(value)" }
    let scaled = Int64(value.magnitude * scale + 0.5)
    let sign = value < 0 && scaled != 0 ? "-" : ""
    guard places > 0 else { return "\(sign)\(scaled)" }
    let fraction = String(scaled % Int64(scale))
    return "\(sign)\(scaled / Int64(scale))." + String(repeating: "0", count: places - fraction.count) + fraction
}
