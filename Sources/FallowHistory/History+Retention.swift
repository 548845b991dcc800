public import FallowModel
internal import FallowReporting
internal import GRDB

/// How long each kind of history is kept.
public struct Retention: Sendable, Hashable {
    /// Use by 10 seconds.
    public var raw: Duration = .seconds(86_400)
    /// Use by the minute.
    public var minutes: Duration = .seconds(30 * 86_400)
    /// Use by the hour, and all counts.
    public var hours: Duration = .seconds(1096 * 86_400)
    /// Single jobs, leases and reclaims.
    public var events: Duration = .seconds(90 * 86_400)
    public init() {}

    func span(_ level: Level) -> Duration {
        switch level {
        case .raw: raw
        case .minutes: minutes
        case .hours: hours
        }
    }
}

extension History {
    /// Merges what is written ahead into the file, so that its size is that of what it holds.
    public func checkpoint() throws(HistoryError) {
        do {
            try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
        } catch { throw HistoryError(error, path: path) }
    }

    /// Forgets what is older than it is to be kept. Rooms in the file are used again; it does not shrink.
    public func prune(now: Timestamp, keeping retention: Retention = Retention()) throws(HistoryError) {
        func before(_ span: Duration) -> Int64 { now.nanosecondsSinceEpoch - min(span.nanoseconds, 1 << 62) }
        try write { db in
            for level in Level.allCases {
                let chunk = level.chunk(at: before(retention.span(level)) / 1_000_000_000)
                try db.execute(
                    sql: "DELETE FROM \(Schema.table(level)) WHERE key < ?",
                    arguments: [UsageChunks.key(chunk: max(0, chunk), node: 0)])
            }
            let hour = before(retention.hours) / 3_600_000_000_000
            for table in ["owner_hours", "lease_hours", "tallies"] {
                try db.execute(sql: "DELETE FROM \(table) WHERE hour < ?", arguments: [hour])
            }
            let oldest = before(retention.events)
            try db.execute(
                sql: "DELETE FROM job_runs WHERE day < ? AND ended_at IS NOT NULL",
                arguments: [oldest / 86_400_000_000_000])
            try db.execute(sql: "DELETE FROM leases WHERE ended_at < ?", arguments: [oldest])
            try db.execute(sql: "DELETE FROM reclaims WHERE at < ?", arguments: [oldest])
            try db.execute(sql: "DELETE FROM losses WHERE until < ?", arguments: [before(retention.hours)])
        }
    }
}
