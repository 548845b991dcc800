internal import FallowReporting
internal import GRDB

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Growth that is not in the file yet, by node and raw step; and how it gets into the chunks of every level.
struct UsageChunks: Sendable {
    struct Key: Hashable, Sendable {
        var node: Int64
        /// The raw step's first second.
        var second: Int64
    }
    private(set) var growth: [Key: NodeUse] = [:]
    var isEmpty: Bool { growth.isEmpty }

    /// A row's key: rows of one chunk of time lie together, whatever the node.
    static func key(chunk: Int64, node: Int64) -> Int64 { chunk << 20 | node }
    static let nodeMask: Int64 = (1 << 20) - 1

    mutating func add(_ growth: NodeAccount.Growth, node: Int64) {
        for part in Spread.parts(growth, every: Level.raw.secondsPerStep) {
            self.growth[Key(node: node, second: part.second), default: NodeUse()] += part.use
        }
    }

    /// Adds all of it to the file's chunks, within the caller's transaction.
    func save(_ db: Database) throws {
        for level in Level.allCases {
            var chunks: [Int64: [(step: Int, use: NodeUse)]] = [:]
            for (key, use) in growth {
                chunks[Self.key(chunk: level.chunk(at: key.second), node: key.node), default: []].append(
                    (level.step(at: key.second), use))
            }
            let table = Schema.table(level)
            let select = try db.cachedStatement(sql: "SELECT steps FROM \(table) WHERE key = ?")
            let marks = Schema.useColumns.map { _ in "?" }.joined(separator: ", ")
            let replace = try db.cachedStatement(sql: "INSERT OR REPLACE INTO \(table) VALUES (?, \(marks), ?)")
            // In the order of the keys: new rows are appended, page after page.
            for (key, parts) in chunks.sorted(by: { $0.key < $1.key }) {
                let old = try Row.fetchOne(select, arguments: [key])
                var steps =
                    try old.map { try Self.steps($0, column: 0, level) }
                    ?? Array(repeating: NodeUse(), count: level.stepsPerChunk)
                for part in parts { steps[part.step] += part.use }
                try Self.write(replace, key: key, steps)
            }
        }
    }

    /// Writes a chunk of any level: its sums and its steps.
    static func write(_ replace: Statement, key: Int64, _ steps: [NodeUse]) throws {
        let sum = steps.reduce(NodeUse(), +)
        var values: [(any DatabaseValueConvertible)?] = [key]
        for field in NodeUse.Field.allCases { values.append(sum[field]) }
        values.append(StepsCoding.encode(steps).withUnsafeBytes { Data($0) })
        try replace.execute(arguments: StatementArguments(values))
    }

    /// The steps in a row's column.
    ///
    /// - Throws: a damaged row is SQLITE_CORRUPT, as a damaged page is.
    static func steps(_ row: Row, column: Int, _ level: Level) throws -> [NodeUse] {
        let steps = try row.withUnsafeData(atIndex: column) { data in
            data?.withUnsafeBytes { StepsCoding.decode($0, count: level.stepsPerChunk) } ?? nil
        }
        guard let steps else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "unreadable steps") }
        return steps
    }
}
