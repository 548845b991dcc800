internal import FallowModel
internal import FallowWire

/// A table of `fallow top`: all columns, all rows, before anything is sorted, filtered or left out.
struct TopTable {
    /// One column. Those of a high rank are left out first where the terminal is narrow.
    struct Column {
        var title: String
        var side: Table.Side
        var rank: Int
    }
    /// What a cell shows, and what it is sorted by: the number where there is one.
    struct Cell {
        var text: String
        var number: Double?
    }
    struct Row {
        var cells: [Cell]
        var isAlarming = false
        /// A sentence about it, for when it is selected.
        var note: String?
    }

    var columns: [Column]
    var rows: [Row]

    /// A node that has not reported for so long stands out; agents report every few seconds.
    private static let silentSeconds = 20.0

    static func nodes(_ nodes: [NodeView]) -> TopTable {
        let columns: [Column] = [
            .init(title: "NODE", side: .left, rank: 0), .init(title: "STATE", side: .left, rank: 3),
            .init(title: "CORES", side: .right, rank: 4), .init(title: "JOBS", side: .right, rank: 5),
            .init(title: "LEASED", side: .right, rank: 2), .init(title: "OFFER", side: .right, rank: 1),
            .init(title: "LEASED-MEM", side: .right, rank: 6), .init(title: "OFFER-MEM", side: .right, rank: 7),
            .init(title: "SEEN", side: .right, rank: 8), .init(title: "USE", side: .left, rank: 9),
        ]
        return TopTable(
            columns: columns,
            rows: nodes.map { node in
                Row(
                    cells: [
                        Cell(text: "\(node.node)"), Cell(text: node.slurmState ?? "?"), Cell(node.cores),
                        Cell(node.allocatedCores), Cell(node.leasedCores), Cell(node.offer.cores),
                        Cell(node.leasedMemory), Cell(node.offer.memory),
                        Cell(
                            text: node.lastReportSeconds.map { "\(decimal($0)) s" } ?? "never",
                            number: node.lastReportSeconds ?? .infinity),
                        Cell(
                            text: bar(
                                [node.allocatedCores, node.leasedCores, node.offer.cores], of: node.cores, width: 16),
                            number: node.cores > 0 ? Double(node.allocatedCores) / Double(node.cores) : 0),
                    ],
                    isAlarming: (node.lastReportSeconds ?? .infinity) > silentSeconds,
                    note: node.withheldReason.map { "\(node.node) lends nothing: \($0)" })
            })
    }

    static func leases(_ leases: [LeaseView], at now: Timestamp, userName: (UserID) -> String) -> TopTable {
        let columns: [Column] = [
            .init(title: "LEASE", side: .left, rank: 6), .init(title: "KIND", side: .left, rank: 7),
            .init(title: "USER", side: .left, rank: 1), .init(title: "NODE", side: .left, rank: 0),
            .init(title: "CPUS", side: .right, rank: 2), .init(title: "MEM", side: .right, rank: 3),
            .init(title: "BENEATH", side: .right, rank: 8), .init(title: "LEFT", side: .right, rank: 4),
            .init(title: "LIBRARY", side: .left, rank: 5),
        ]
        return TopTable(
            columns: columns,
            rows: leases.map { lease in
                let left = (lease.termEnds - now).inSeconds
                return Row(cells: [
                    Cell(text: "\(lease.leaseID)"), Cell(text: lease.kind == .memory ? "mem" : "func"),
                    Cell(text: userName(lease.user)),
                    Cell(text: "\(lease.node)"), Cell(lease.cpus), Cell(lease.memory),
                    Cell(text: lease.beneath.map { "\($0)" } ?? "-"), Cell(text: clock(left), number: left),
                    Cell(text: lease.kind == .memory ? "-" : lease.libraryName),
                ])
            })
    }

    /// The rows that have the filter's text in some cell, whatever its case, by a column.
    func arranged(filter: String, sortedBy column: Int, reversed: Bool) -> [Row] {
        let wanted = filter.lowercased()
        let chosen =
            wanted.isEmpty ? rows : rows.filter { row in row.cells.contains { $0.text.lowercased().contains(wanted) } }
        let sorted = chosen.sorted { a, b in
            let (x, y) = (a.cells[column], b.cells[column])
            if let p = x.number, let q = y.number, p != q { return p > q }
            // Equal ones stay in the order of their names, so that rows do not jump about.
            return naturally(x.number == nil ? x.text : a.cells[0].text, y.number == nil ? y.text : b.cells[0].text)
        }
        return reversed ? sorted.reversed() : sorted
    }
}

extension TopTable.Cell {
    init(_ count: Int) { self.init(text: "\(count)", number: Double(count)) }
    init(_ amount: ByteCount) { self.init(text: "\(amount)", number: Double(amount.bytes)) }
    init(text: String) { self.init(text: text, number: nil) }
}

/// `##++....`: what jobs hold, what is leased, what is on offer; blanks for the rest.
func bar(_ parts: [Int], of all: Int, width: Int) -> String {
    guard all > 0 else { return String(repeating: " ", count: max(0, width)) }
    var text = ""
    var total = 0
    for (part, mark) in zip(parts, ["#", "+", "."]) {
        total = min(all, total + max(0, part))
        text += String(repeating: mark, count: max(0, (total * width + all / 2) / all - text.count))
    }
    return text + String(repeating: " ", count: max(0, width - text.count))
}

/// Whether a name comes before another when numbers in them count as numbers: node2 before node10.
func naturally(_ a: String, _ b: String) -> Bool {
    var (x, y) = (Substring(a), Substring(b))
    while let p = x.first, let q = y.first {
        if p.isASCII, p.isNumber, q.isASCII, q.isNumber {
            let (m, n) = (x.prefix { $0.isASCII && $0.isNumber }, y.prefix { $0.isASCII && $0.isNumber })
            let (s, t) = (m.drop { $0 == "0" }, n.drop { $0 == "0" })
            if s.count != t.count { return s.count < t.count }
            if s != t { return s < t }
            (x, y) = (x.dropFirst(m.count), y.dropFirst(n.count))
        } else {
            if p != q { return p < q }
            (x, y) = (x.dropFirst(), y.dropFirst())
        }
    }
    return x.isEmpty && !y.isEmpty
}

/// `1:02:03` or `2:03`.
private func clock(_ seconds: Double) -> String {
    let total = Int(max(0, min(seconds, 1e9)).rounded())
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return total >= 3600
        ? "\(total / 3600):\(two(total / 60 % 60)):\(two(total % 60))" : "\(total / 60):\(two(total % 60))"
}
