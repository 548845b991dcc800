public import FallowModel
public import FallowReporting
public import FallowWire
internal import GRDB
internal import Glibc
internal import Synchronization

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What happened, in SQLite: use of the nodes and jobs, the ledger of leases, reclaims; and the operators' switches.
///
/// It holds no live state. Every call blocks on the disk (not for event loops); the writes of one call are one
/// transaction. Leases, reclaims and ends of jobs have survived a kill of this process when the call returned. Use is
/// gathered for up to a minute (`flush`): a kill loses none of it, since agents report sums, only how it was spread.
public final class History: Sendable {
    let database: DatabasePool
    public let path: String
    let state: Mutex<HistoryState>
    private let transactionCount = Atomic<Int>(0)
    /// How many transactions have come through: a call that had nothing to write proves nothing of the disk.
    public var transactions: Int { transactionCount.load(ordering: .relaxed) }
    /// A file beyond this is not read whole when it is opened; damage is then found where it is met.
    private static let checkedBytes: Int64 = 512 << 20

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
            var status = stat()
            fstat(descriptor, &status)
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
                guard Int64(status.st_size) <= Self.checkedBytes else { return }
                if let word = try String.fetchOne(db, sql: "PRAGMA quick_check(1)"), word != "ok" {
                    throw HistoryError(
                        .corrupt, "the history \(path) is damaged (\(word)): move it away, or restore it from a copy")
                }
            }
            try Schema.migrator.migrate(database)
            state = Mutex(try database.read { try Self.load($0) })
        } catch {
            throw HistoryError(error, path: path)
        }
    }

    func write<Value>(_ body: (Database) throws -> Value) throws(HistoryError) -> Value {
        do {
            let value = try database.write(body)
            transactionCount.add(1, ordering: .relaxed)
            return value
        } catch { throw HistoryError(error, path: path) }
    }
    func read<Value>(_ body: (Database) throws -> Value) throws(HistoryError) -> Value {
        do { return try database.read(body) } catch { throw HistoryError(error, path: path) }
    }

    /// Records a report: use, jobs, reclaims. A repeated one changes nothing.
    ///
    /// - Parameter isDown: Slurm withholds the node: down, drained, powered off.
    public func record(_ report: NodeReport, receivedAt: Timestamp, isDown: Bool = false) throws(HistoryError) {
        let (ended, node) = state.withLock { state in
            (state.take(report, at: receivedAt, isDown: isDown), state.nodeIDs[report.node])
        }
        guard !ended.isEmpty || !report.reclaims.isEmpty else { return }
        let reclaims = try write { db in
            let id =
                try node ?? Self.number(of: report.node, cores: report.cores, memory: report.memory, receivedAt, db)
            try state.withLock { state in
                state.nodeIDs[report.node] = id
                for key in ended {
                    try state.accounts.jobs[key.node]?[key]?.save(db, node: id)
                    for (owner, use) in state.owners[key] ?? [:] { try Self.add(use, to: owner, db) }
                }
            }
            return try report.reclaims.filter { try Self.record($0, on: report.node, db) }
        }
        state.withLock { state in
            state.wereSaved(ended)
            for reclaim in reclaims { state.counters.vacateSeconds.add(Double(reclaim.vacateMicroseconds) / 1e6) }
        }
    }

    /// - Returns: false: it was there already.
    private static func record(_ reclaim: ReclaimReport, on node: NodeName, _ db: Database) throws -> Bool {
        try db.execute(
            sql: "INSERT OR IGNORE INTO reclaims VALUES (?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                node.text, reclaim.at.nanosecondsSinceEpoch, Int64(reclaim.jobID.number),
                Int64(reclaim.stepID.number), reclaim.leases.count, reclaim.vacateMicroseconds, reclaim.stuckProcesses,
            ])
        guard db.changesCount == 1 else { return false }
        try count(vacate: reclaim.vacateMicroseconds, at: reclaim.at, db)
        return true
    }

    /// What was counted since the file was opened.
    public var counters: HistoryCounters { state.withLock { $0.counters } }
    /// The file's size with what is not yet merged into it.
    public var sizeBytes: Int64 {
        ["", "-wal"].reduce(0) { sum, suffix in
            var status = stat()
            return stat(path + suffix, &status) == 0 ? sum + Int64(status.st_size) : sum
        }
    }

    /// What slurmctld knows of the jobs that run, for those that reports name from now on.
    public func note(jobs: [JobFacts], partitions: [NodeName: String]) {
        state.withLock { state in
            state.facts = Dictionary(jobs.map { ($0.jobID, $0) }) { first, _ in first }
            for (node, text) in partitions where state.partitions[node] != text {
                state.partitions[node] = text
                state.changedNodes.insert(node)
            }
        }
    }

    /// Nodes that Slurm withholds and that no agent reported of for the whole of a time.
    public func noteDown(_ nodes: [(name: NodeName, cores: Int)], from: Timestamp, to: Timestamp) {
        state.withLock { state in for node in nodes { state.down(node.name, cores: node.cores, from: from, to: to) } }
    }

    /// Writes down that so many writes were lost.
    public func record(_ loss: CapacityReport.Loss) throws(HistoryError) {
        try write { db in
            try db.execute(
                sql: "INSERT INTO losses VALUES (?, ?, ?, ?)",
                arguments: [
                    loss.since.nanosecondsSinceEpoch, loss.until.nanosecondsSinceEpoch, loss.writes, loss.reason,
                ])
        }
    }
}
