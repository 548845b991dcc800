public import FallowModel
public import FallowWire
internal import GRDB

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

extension History {
    /// Capacity over a time: per node the integrals' growth, and the jobs, leases and reclaims of that time.
    ///
    /// Integrals are differences of samples a minute apart (an hour, where older than a day); of a job the whole use is
    /// given, also where it began earlier.
    /// - Parameter user: only this one's jobs are listed; nil: everybody's.
    public func capacityReport(
        since: Timestamp, until: Timestamp, user: UserID?, jobLimit: Int = 10_000
    ) throws(HistoryError) -> CapacityReport {
        try read { db in
            let times = (since.nanosecondsSinceEpoch, until.nanosecondsSinceEpoch)
            let ended = try Row.fetchAll(
                db, sql: "SELECT reason, count(*) AS n FROM leases WHERE ended_at BETWEEN ? AND ? GROUP BY reason",
                arguments: [times.0, times.1])
            let vacates = try Int.fetchAll(
                db, sql: "SELECT vacate_us FROM reclaims WHERE at BETWEEN ? AND ? ORDER BY vacate_us",
                arguments: [times.0, times.1])
            return CapacityReport(
                since: since, until: until, nodes: try Self.nodeUses(db, times),
                jobs: try Self.jobs(
                    db, "last_seen_at >= \(times.0) AND first_seen_at <= \(times.1)", user: user, limit: jobLimit),
                leasesEnded: Dictionary(uniqueKeysWithValues: ended.map { ($0["reason"] ?? "unknown", $0["n"]) }),
                reclaims: vacates.count, vacateMedianMicroseconds: Self.quantile(vacates, 0.5),
                vacateP99Microseconds: Self.quantile(vacates, 0.99))
        }
    }

    /// Jobs that ended, the latest first.
    public func endedJobs(user: UserID?, limit: Int = 1000) throws(HistoryError) -> [JobView] {
        try read { db in try Self.jobs(db, "ended_at IS NOT NULL", user: user, limit: limit) }
    }

    private static func jobs(_ db: Database, _ condition: String, user: UserID?, limit: Int) throws -> [JobView] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT node, report FROM jobs WHERE \(condition) AND (? IS NULL OR user = ?)
                ORDER BY last_seen_at DESC, node, job LIMIT ?
                """, arguments: [user.map { Int64($0.number) }, user.map { Int64($0.number) }, limit]
        ).compactMap { row in
            let text: String = row["report"]
            guard let job = try? JSONDecoder().decode(JobReport.self, from: Data(text.utf8)) else { return nil }
            return JobView(node: NodeName(row["node"]), job: job)
        }
    }

    /// The nearest-rank quantile of rising values.
    static func quantile(_ values: [Int], _ share: Double) -> Int? {
        guard !values.isEmpty else { return nil }
        return values[min(values.count - 1, max(0, Int((Double(values.count) * share).rounded(.up)) - 1))]
    }

    private static func nodeUses(_ db: Database, _ times: (Int64, Int64)) throws -> [CapacityReport.NodeUse] {
        var uses: [NodeName: CapacityReport.NodeUse] = [:]
        // Per run of an agent: the last word not after `until`, less the last word not after `since`. A run that began
        // within the time counts whole; of one whose beginning is pruned, what the kept samples show.
        let runs = try Row.fetchAll(
            db, sql: "SELECT node, instance, instance_started_at AS started FROM node_usage WHERE at >= ? ORDER BY at",
            arguments: [times.0])
        for run in runs {
            let key: StatementArguments = [run["node"] as String, run["instance"] as Int64]
            let last = try sample(db, key, "at <= \(times.1) ORDER BY at DESC")
            guard let last else { continue }
            var first = try sample(db, key, "at <= \(times.0) ORDER BY at DESC")
            if first == nil, (run["started"] as Int64) < times.0 {
                first = try sample(db, key, "at <= \(times.1) ORDER BY at")
            }
            let node = NodeName(run["node"])
            let grown = integrals(last).adding(first.map(integrals) ?? NodeIntegrals(), times: -1)
            let before = uses[node]?.integrals ?? NodeIntegrals()
            uses[node] = CapacityReport.NodeUse(
                node: node, cores: last["cores"], memory: ByteCount(last["memory"] as Int64),
                integrals: before.adding(grown))
        }
        return uses.values.sorted { $0.node < $1.node }
    }

    private static func sample(_ db: Database, _ key: StatementArguments, _ rest: String) throws -> Row? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM usage_samples WHERE node = ? AND instance = ? AND \(rest) LIMIT 1", arguments: key)
    }

    private static func integrals(_ row: Row) -> NodeIntegrals {
        NodeIntegrals(
            elapsedSeconds: row["elapsed_s"], allocatedCoreSeconds: row["allocated_core_s"],
            usedCoreSeconds: row["used_core_s"], lentCoreSeconds: row["lent_core_s"],
            recoveredCoreSeconds: row["recovered_core_s"], allocatedByteSeconds: row["allocated_byte_s"],
            usedByteSeconds: row["used_byte_s"], lentByteSeconds: row["lent_byte_s"])
    }
}

extension NodeIntegrals {
    /// This and `factor` times another.
    fileprivate func adding(_ other: NodeIntegrals, times factor: Double = 1) -> NodeIntegrals {
        NodeIntegrals(
            elapsedSeconds: elapsedSeconds + factor * other.elapsedSeconds,
            allocatedCoreSeconds: allocatedCoreSeconds + factor * other.allocatedCoreSeconds,
            usedCoreSeconds: usedCoreSeconds + factor * other.usedCoreSeconds,
            lentCoreSeconds: lentCoreSeconds + factor * other.lentCoreSeconds,
            recoveredCoreSeconds: recoveredCoreSeconds + factor * other.recoveredCoreSeconds,
            allocatedByteSeconds: allocatedByteSeconds + factor * other.allocatedByteSeconds,
            usedByteSeconds: usedByteSeconds + factor * other.usedByteSeconds,
            lentByteSeconds: lentByteSeconds + factor * other.lentByteSeconds)
    }
}
