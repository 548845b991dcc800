public import FallowModel
internal import FallowReporting
public import FallowWire
internal import GRDB

extension History {
    /// Jobs that ended, the latest first.
    public func endedJobs(user: UserID?, limit: Int = 1000) throws(HistoryError) -> [JobView] {
        try read { db in
            let rows = try Row.fetchAll(
                db,
                sql: JobRow.select + """
                     WHERE r.ended_at IS NOT NULL AND (?1 IS NULL OR r.user = ?1)
                    ORDER BY r.day DESC, r.last_seen_at DESC, n.name, r.job LIMIT ?2
                    """, arguments: [user.map { Int64($0.number) }, limit])
            return rows.map { JobView(node: NodeName($0["node_name"]), job: JobRow($0).job) }
        }
    }

    /// The jobs of a report that left most unused, and where single nodes or one job are asked for, their sums.
    static func addJobs(_ report: inout CapacityReport, _ query: ReportQuery, _ db: Database) throws {
        let ids: [Int64]
        if let job = query.job {
            ids = try runs(of: job, query, db)
        } else if !query.nodes.isEmpty {
            ids = try mostUnusedOnNodes(query, &report.jobTotal, db)
        } else {
            ids = try mostUnused(query, db)
        }
        let select = try db.cachedStatement(
            sql: JobRow.select + " WHERE r.job = ? ORDER BY r.first_seen_at, n.name")
        var jobs: [JobUse] = []
        for id in ids {
            let rows = try Row.fetchAll(select, arguments: [id])
            if let job = JobUse(rows.map { ($0["node"], JobRow($0)) }) { jobs.append(job) }
        }
        if query.job != nil {
            for job in jobs {
                report.jobTotal.heldCoreSeconds += job.heldCoreSeconds
                report.jobTotal.usedCoreSeconds += job.usedCoreSeconds
                report.jobTotal.lentCoreSeconds += job.lentCoreSeconds
                report.jobTotal.heldByteSeconds += job.heldByteSeconds
                report.jobTotal.usedByteSeconds += job.usedByteSeconds
                report.jobTotal.lentByteSeconds += job.lentByteSeconds
            }
        }
        report.jobs = Array(
            jobs.sorted { ($1.left, $0.facts.jobID) < ($0.left, $1.facts.jobID) }.prefix(query.jobLimit))
    }

    /// A job, or the jobs of an array, where they may be shown.
    private static func runs(of job: JobID, _ query: ReportQuery, _ db: Database) throws -> [Int64] {
        try Int64.fetchAll(
            db,
            sql: "SELECT DISTINCT job FROM job_runs WHERE (job = ?1 OR array_job = ?1) AND (?2 IS NULL OR user = ?2)",
            arguments: [Int64(job.number), query.shownUser.map { Int64($0.number) }])
    }

    /// Jobs that were seen last in the report's time, and that left most unused.
    private static func mostUnused(_ query: ReportQuery, _ db: Database) throws -> [Int64] {
        let (condition, arguments) = owners(query)
        // A job has a row on each of its nodes: more rows than jobs are taken, day by day, so that the index gives the order.
        let statement = try db.cachedStatement(
            sql: """
                SELECT job, unused FROM job_runs WHERE day = ?\(condition) AND last_seen_at >= ?
                  AND last_seen_at <= ? ORDER BY unused DESC LIMIT ?
                """)
        var best: [Int64: Int64] = [:]
        for day in days(query) {
            let rows = try Row.fetchCursor(
                statement,
                arguments: [day] + arguments + times(query) + [max(2_000, query.jobLimit * 4)])
            while let row = try rows.next() { best[row[0], default: 0] += row[1] }
        }
        return first(best, query)
    }

    /// The same of single nodes. All their rows are read, so that the sums are of every job on them, listed or not.
    private static func mostUnusedOnNodes(
        _ query: ReportQuery, _ total: inout CapacityReport.JobTotal, _ db: Database
    ) throws -> [Int64] {
        let (condition, arguments) = owners(query)
        // Left to itself SQLite reads the days of all nodes, for their order, which is not wanted here.
        let statement = try db.cachedStatement(
            sql: """
                SELECT job, unused, held_core_s, used_core_s, lent_core_s, held_byte_s, used_byte_s, lent_byte_s
                FROM job_runs INDEXED BY job_runs_node
                WHERE node = (SELECT id FROM nodes WHERE name = ?) AND day >= ? AND day <= ?\(condition)
                  AND last_seen_at >= ? AND last_seen_at <= ?
                """)
        let days = days(query)
        var best: [Int64: Int64] = [:]
        for node in Set(query.nodes) {
            let rows = try Row.fetchCursor(
                statement,
                arguments: [node.text, days.lowerBound, days.upperBound] + arguments + times(query))
            while let row = try rows.next() {
                best[row[0], default: 0] += row[1]
                total.heldCoreSeconds += row[2]
                total.usedCoreSeconds += row[3]
                total.lentCoreSeconds += row[4]
                total.heldByteSeconds += row[5]
                total.usedByteSeconds += row[6]
                total.lentByteSeconds += row[7]
            }
        }
        return first(best, query)
    }

    /// Whose jobs are asked for, as a condition on `job_runs`.
    private static func owners(_ query: ReportQuery) -> (condition: String, arguments: StatementArguments) {
        var condition = ""
        var arguments: StatementArguments = []
        if let user = query.shownUser {
            condition += " AND user = ?"
            arguments += [Int64(user.number)]
        }
        for (column, word) in [("account", query.account), ("partition", query.partition)] {
            guard let word else { continue }
            condition += " AND \(column) = (SELECT id FROM words WHERE word = ?)"
            arguments += [word]
        }
        return (condition, arguments)
    }

    private static func days(_ query: ReportQuery) -> ClosedRange<Int64> {
        JobRow.day(query.since)...max(JobRow.day(query.since), JobRow.day(query.until))
    }

    private static func times(_ query: ReportQuery) -> StatementArguments {
        [query.since.nanosecondsSinceEpoch, query.until.nanosecondsSinceEpoch]
    }

    private static func first(_ best: [Int64: Int64], _ query: ReportQuery) -> [Int64] {
        best.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(query.jobLimit).map(\.key)
    }
}

extension JobUse {
    /// What it held and did not use, in core-seconds; memory counts as a core for each 4 GiB.
    fileprivate var left: Double {
        max(0, heldCoreSeconds - usedCoreSeconds) + max(0, heldByteSeconds - usedByteSeconds) / Double(4 << 30)
    }

    /// A job from its rows, one for each run on each node; nil without rows.
    init?(_ rows: [(node: Int64, row: JobRow)]) {
        guard let last = rows.max(by: { $0.row.lastSeenAt < $1.row.lastSeenAt })?.row else { return nil }
        let jobs = rows.map(\.row.job)
        // Of each node the latest run: a requeued job holds what its last run holds.
        var latest: [Int64: JobReport] = [:]
        for (node, row) in rows
        where (latest[node]?.firstSeenAt ?? .init(nanosecondsSinceEpoch: .min)) <= row.job.firstSeenAt {
            latest[node] = row.job
        }
        var runs: [Int64: Int] = [:]
        for (node, _) in rows { runs[node, default: 0] += 1 }
        func sum(_ path: KeyPath<JobReport, Double>) -> Double { jobs.reduce(0) { $0 + $1[keyPath: path] } }
        self.init(
            facts: last.facts ?? JobFacts(jobID: last.job.jobID), user: last.job.user, nodes: latest.count,
            runs: runs.values.max() ?? 1, cores: latest.values.reduce(0) { $0 + $1.cores.count },
            memory: jobs.map(\.memory).max() ?? .zero, peakMemory: jobs.map(\.peakMemory).max() ?? .zero,
            firstSeenAt: jobs.map(\.firstSeenAt).min() ?? last.job.firstSeenAt, lastSeenAt: last.lastSeenAt,
            ended: jobs.allSatisfy { $0.endedAt != nil }, measured: jobs.allSatisfy(\.measured),
            serverless: last.job.serverless, heldCoreSeconds: sum(\.heldCoreSeconds),
            usedCoreSeconds: sum(\.usedCoreSeconds), lentCoreSeconds: sum(\.lentCoreSeconds),
            heldByteSeconds: sum(\.heldByteSeconds), usedByteSeconds: sum(\.usedByteSeconds),
            lentByteSeconds: sum(\.lentByteSeconds))
    }
}
