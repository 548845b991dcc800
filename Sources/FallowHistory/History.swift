public import FallowModel
public import FallowWire
internal import GRDB
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What happened, in SQLite: use of the nodes and jobs, the ledger of leases, reclaims; and the operators' switches.
///
/// It holds no live state. Every call blocks on the disk (not for event loops); the writes of one call are one
/// transaction, and what returned has survived a kill of this process.
public final class History: Sendable {
    let database: DatabasePool
    public let path: String

    /// Opens the file or makes it, and brings its tables up to date.
    ///
    /// - Throws: `HistoryError`: `newer` when a newer version wrote it, `corrupt`, `readOnly`, `full`. The file stays.
    public init(path: String) throws(HistoryError) {
        self.path = path
        do {
            let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            if !folder.isEmpty {
                try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            }
            // Everybody's leases stand in it: nobody else reads it.
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw HistoryError(
                    .readOnly,
                    "the history \(path) cannot be opened (\(String(cString: strerror(errno)))): state_directory must be"
                        + " a writable folder")
            }
            close(descriptor)
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.maximumReaderCount = 2
            database = try DatabasePool(path: path, configuration: configuration)
            try database.read { db in
                guard try !Schema.migrator.hasBeenSuperseded(db) else {
                    throw HistoryError(
                        .newer,
                        "the history \(path) was written by a newer version of fallow: use that, or another file")
                }
                if let word = try String.fetchOne(db, sql: "PRAGMA quick_check(1)"), word != "ok" {
                    throw HistoryError(
                        .corrupt, "the history \(path) is damaged (\(word)): move it away, or restore it from a copy")
                }
            }
            try Schema.migrator.migrate(database)
        } catch {
            throw HistoryError(error, path: path)
        }
    }

    func write<Value>(_ body: (Database) throws -> Value) throws(HistoryError) -> Value {
        do { return try database.write(body) } catch { throw HistoryError(error, path: path) }
    }
    func read<Value>(_ body: (Database) throws -> Value) throws(HistoryError) -> Value {
        do { return try database.read(body) } catch { throw HistoryError(error, path: path) }
    }

    /// Records a report: use, jobs, reclaims. A repeated one changes nothing.
    public func record(_ report: NodeReport, receivedAt: Timestamp) throws(HistoryError) {
        try write { db in
            try Self.recordUsage(report, receivedAt, db)
            for job in report.jobs {
                try db.execute(
                    sql: """
                        INSERT INTO jobs (node, job, first_seen_at, user, last_seen_at, ended_at, report)
                        VALUES (?, ?, ?, ?, ?, ?, ?)
                        ON CONFLICT DO UPDATE SET last_seen_at = excluded.last_seen_at,
                          ended_at = coalesce(excluded.ended_at, ended_at), report = excluded.report
                        """,
                    arguments: [
                        report.node.text, Int64(job.jobID.number), job.firstSeenAt.nanosecondsSinceEpoch,
                        Int64(job.user.number), receivedAt.nanosecondsSinceEpoch,
                        job.endedAt?.nanosecondsSinceEpoch,
                        String(decoding: try JSONEncoder().encode(job), as: UTF8.self),
                    ])
            }
            for reclaim in report.reclaims {
                try db.execute(
                    sql: "INSERT OR IGNORE INTO reclaims VALUES (?, ?, ?, ?, ?, ?, ?)",
                    arguments: [
                        report.node.text, reclaim.at.nanosecondsSinceEpoch, Int64(reclaim.jobID.number),
                        Int64(reclaim.stepID.number), reclaim.leases.count, reclaim.vacateMicroseconds,
                        reclaim.stuckProcesses,
                    ])
            }
        }
    }

    private static func recordUsage(_ report: NodeReport, _ receivedAt: Timestamp, _ db: Database) throws {
        let use = report.integrals
        for table in ["node_usage", "usage_samples"] {
            try db.execute(
                sql: "INSERT OR REPLACE INTO \(table) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    report.node.text, Int64(bitPattern: report.instance),
                    receivedAt.nanosecondsSinceEpoch / 60_000_000_000, receivedAt.nanosecondsSinceEpoch,
                    report.instanceStartedAt.nanosecondsSinceEpoch, report.cores, report.memory.bytes,
                    use.elapsedSeconds, use.allocatedCoreSeconds, use.usedCoreSeconds, use.lentCoreSeconds,
                    use.recoveredCoreSeconds, use.allocatedByteSeconds, use.usedByteSeconds, use.lentByteSeconds,
                ])
        }
    }

    /// Forgets: of samples older than a day all but one an hour; everything that ended more than `keep` ago.
    public func prune(now: Timestamp, keep: Duration = .seconds(90 * 86_400)) throws(HistoryError) {
        let oldest = now.nanosecondsSinceEpoch - keep.nanoseconds
        let day = (now.nanosecondsSinceEpoch - 86_400_000_000_000) / 60_000_000_000
        try write { db in
            try db.execute(
                sql: """
                    DELETE FROM usage_samples WHERE minute < ? AND EXISTS (
                      SELECT 1 FROM usage_samples later WHERE later.node = usage_samples.node
                        AND later.instance = usage_samples.instance AND later.minute > usage_samples.minute
                        AND later.minute / 60 = usage_samples.minute / 60)
                    """, arguments: [day])
            for statement in [
                "DELETE FROM usage_samples WHERE at < ?", "DELETE FROM node_usage WHERE at < ?",
                "DELETE FROM jobs WHERE last_seen_at < ?", "DELETE FROM leases WHERE ended_at < ?",
                "DELETE FROM reclaims WHERE at < ?",
            ] {
                try db.execute(sql: statement, arguments: [oldest])
            }
        }
    }
}
