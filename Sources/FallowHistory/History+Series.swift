internal import FallowModel
public import FallowReporting
internal import FallowWire
internal import GRDB

extension History {
    /// A report's capacity step by step.
    ///
    /// - Parameters:
    ///   - query: its time and nothing else counts.
    ///   - stepSeconds: whole minutes below an hour, whole hours above; steps begin at multiples of it in UTC.
    ///   - rowLimit: with more nodes than this, neighbours share a row.
    public func capacitySeries(
        _ query: ReportQuery, stepSeconds: Int64, rowLimit: Int
    ) throws(HistoryError) -> CapacitySeries {
        try read { db in
            var reader = SeriesReader(query, stepSeconds: stepSeconds)
            try reader.readNodes(db, rowLimit: max(1, rowLimit))
            try reader.readUse(db)
            var series = reader.series
            let tallies = try Self.tallies(query, db)
            series.nodeGaps = tallies[TallyKind.nodeGapSeconds.rawValue] ?? Tally()
            series.coreGaps = tallies[TallyKind.coreGapSeconds.rawValue] ?? Tally()
            return series
        }
    }
}

/// Passes over the chunks of a time once, and adds their steps to those of the series.
private struct SeriesReader {
    private let level: Level
    private let stepSeconds: Int64
    /// Steps since 1970: from the one that holds the time's beginning to the one that holds its end.
    private let steps: Range<Int64>
    private let end: Timestamp
    private var rows: [CapacitySeries.Row] = []
    private var rowOfNode: [Int64: Int] = [:]
    /// Core-seconds that are known of, by step.
    private var known: [Double]

    init(_ query: ReportQuery, stepSeconds: Int64) {
        level = stepSeconds % Level.hours.secondsPerStep == 0 ? .hours : .minutes
        self.stepSeconds = max(level.secondsPerStep, stepSeconds / level.secondsPerStep * level.secondsPerStep)
        let length = self.stepSeconds * 1_000_000_000
        let first = query.since.nanosecondsSinceEpoch / length
        steps = first..<max(first, (query.until.nanosecondsSinceEpoch + length - 1) / length)
        end = query.until
        known = Array(repeating: 0, count: steps.count)
    }

    mutating func readNodes(_ db: Database, rowLimit: Int) throws {
        let all = try Row.fetchAll(
            db,
            sql: """
                SELECT id, name, cores, first_at, at FROM nodes LEFT JOIN node_accounts ON node = id
                """
        ).filter { ($0[3] as Int64) < end.nanosecondsSinceEpoch }
            .map { (name: NodeName($0[1]), row: $0) }.sorted { NaturalOrder.precedes($0.name, $1.name) }
        let perRow = max(1, (all.count + rowLimit - 1) / rowLimit)
        for (index, (name, row)) in all.enumerated() {
            if index % perRow == 0 {
                let empty = [NodeUse](repeating: NodeUse(), count: steps.count)
                rows.append(.init(first: name, last: name, nodeCount: 0, steps: empty))
            }
            rows[rows.count - 1].last = name
            rows[rows.count - 1].nodeCount += 1
            rowOfNode[row[0]] = rows.count - 1
            addKnown(cores: row[2], from: row[3], last: row[4] as Int64? ?? row[3])
        }
    }

    /// As in a report: a node is known from its first report on, and what its next one will tell is not unwatched.
    private mutating func addKnown(cores: Int, from first: Int64, last: Int64) {
        let length = stepSeconds * 1_000_000_000
        let to = end.nanosecondsSinceEpoch
        let until = last > to - 60_000_000_000 ? min(to, last) : to
        for index in known.indices {
            let begin = (steps.lowerBound + Int64(index)) * length
            let inside = min(begin + length, until) - max(begin, first)
            if inside > 0 { known[index] += Double(inside) / 1e9 * Double(cores) }
        }
    }

    mutating func readUse(_ db: Database) throws {
        guard !steps.isEmpty else { return }
        let chunks =
            level.chunk(at: steps.lowerBound * stepSeconds)...level.chunk(at: steps.upperBound * stepSeconds - 1)
        let found = try Row.fetchCursor(
            db, sql: "SELECT key, steps FROM \(Schema.table(level)) WHERE key >= ? AND key < ?",
            arguments: [
                UsageChunks.key(chunk: chunks.lowerBound, node: 0),
                UsageChunks.key(chunk: chunks.upperBound + 1, node: 0),
            ])
        while let row = try found.next() {
            let key: Int64 = row[0]
            guard let index = rowOfNode[key & UsageChunks.nodeMask] else { continue }
            let second = (key >> 20) * level.secondsPerChunk
            for (step, use) in try UsageChunks.steps(row, column: 1, level).enumerated() where !use.isZero {
                let place = (second + Int64(step) * level.secondsPerStep) / stepSeconds
                if steps.contains(place) { rows[index].steps[Int(place - steps.lowerBound)] += use }
            }
        }
    }

    var series: CapacitySeries {
        let sums = known.indices.map { index in
            CapacityUse(rows.reduce(NodeUse()) { $0 + $1.steps[index] }, knownCoreSeconds: known[index])
        }
        return CapacitySeries(
            since: Timestamp(nanosecondsSinceEpoch: steps.lowerBound * stepSeconds * 1_000_000_000),
            stepSeconds: stepSeconds, steps: sums, rows: rows)
    }
}
