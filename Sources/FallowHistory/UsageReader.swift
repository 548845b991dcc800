internal import FallowModel
internal import FallowReporting
internal import GRDB

/// Sums use over a time: whole days by their sums, the rest of it by hours, and what is left at both ends by minutes.
struct UsageReader {
    let db: Database
    /// Nanoseconds since 1970: from `from` to before `to`.
    let from: Int64
    let to: Int64
    /// The nodes that are asked for; nil: all.
    let nodes: Set<Int64>?
    private(set) var sums: [Int64: NodeUse] = [:]
    /// Few nodes are looked up one by one; for many, all rows of a chunk are passed over, at an eighth of the cost each.
    private let areFew: Bool

    init(_ db: Database, from: Int64, to: Int64, nodes: Set<Int64>?) throws {
        self.db = db
        self.from = from
        self.to = to
        self.nodes = nodes
        let known = try Int.fetchOne(db, sql: "SELECT count(*) FROM nodes") ?? 0
        areFew = nodes.map { $0.count <= known / 8 } ?? false
        guard to > from else { return }
        try addDays()
    }

    private mutating func addDays() throws {
        let day = Level.hours.secondsPerChunk * 1_000_000_000
        let firstWhole = -Self.floor(-from, day)
        let endWhole = Self.floor(to, day)
        if firstWhole < endWhole {
            try addWhole(firstWhole..<endWhole)
            if firstWhole * day > from { try addDay(firstWhole - 1) }
            if endWhole * day < to { try addDay(endWhole) }
        } else {
            for chunk in Self.floor(from, day)...Self.floor(to - 1, day) { try addDay(chunk) }
        }
    }

    private mutating func addWhole(_ days: Range<Int64>) throws {
        let columns = Schema.useColumns.joined(separator: ", ")
        try each("SELECT key, \(columns) FROM usage_hours", days) { reader, node, row in
            var use = NodeUse()
            for field in NodeUse.Field.allCases { use[field] = row[field.rawValue + 1] }
            reader.sums[node, default: NodeUse()] += use
        }
    }

    /// One day that lies partly in the time.
    private mutating func addDay(_ day: Int64) throws {
        let hour: Int64 = 3_600_000_000_000
        var partial: [Int64: [Int64: NodeUse]] = [:]
        try each("SELECT key, steps FROM usage_hours", day..<day + 1) { reader, node, row in
            let steps = try UsageChunks.steps(row, column: 1, .hours)
            for (index, use) in steps.enumerated() where !use.isZero {
                let number = day * 24 + Int64(index)
                let inside = min(reader.to, (number + 1) * hour) - max(reader.from, number * hour)
                if inside >= hour {
                    reader.sums[node, default: NodeUse()] += use
                } else if inside > 0 {
                    partial[number, default: [:]][node] = use
                }
            }
        }
        for (number, uses) in partial { try addHour(number, uses) }
    }

    /// One hour that lies partly in the time: by its minutes, or by its share where those are forgotten.
    private mutating func addHour(_ number: Int64, _ uses: [Int64: NodeUse]) throws {
        var left = uses
        try each("SELECT key, steps FROM usage_minutes", number..<number + 1) { reader, node, row in
            guard left.removeValue(forKey: node) != nil else { return }
            let steps = try UsageChunks.steps(row, column: 1, .minutes)
            reader.sums[node, default: NodeUse()] += Level.minutes.sum(
                steps, chunk: number, from: reader.from, to: reader.to)
        }
        let hour: Int64 = 3_600_000_000_000
        let inside = min(to, (number + 1) * hour) - max(from, number * hour)
        for (node, use) in left { sums[node, default: NodeUse()] += use.scaled(inside, of: hour) }
    }

    /// Calls `body` with each row of the chunks, whose first column is the key.
    private mutating func each(
        _ select: String, _ chunks: Range<Int64>, _ body: (inout UsageReader, Int64, Row) throws -> Void
    ) throws {
        if let nodes, areFew {
            let statement = try db.cachedStatement(sql: select + " WHERE key = ?")
            for chunk in chunks {
                for node in nodes {
                    let key = UsageChunks.key(chunk: chunk, node: node)
                    if let row = try Row.fetchOne(statement, arguments: [key]) { try body(&self, node, row) }
                }
            }
            return
        }
        let statement = try db.cachedStatement(sql: select + " WHERE key >= ? AND key < ?")
        let keys = [chunks.lowerBound, chunks.upperBound].map { UsageChunks.key(chunk: $0, node: 0) }
        let rows = try Row.fetchCursor(statement, arguments: StatementArguments(keys))
        while let row = try rows.next() {
            let node = (row[0] as Int64) & UsageChunks.nodeMask
            if nodes?.contains(node) ?? true { try body(&self, node, row) }
        }
    }

    private static func floor(_ value: Int64, _ divisor: Int64) -> Int64 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
