internal import FallowModel
internal import FallowReporting
internal import FallowWire
internal import GRDB

/// One run of a job on one node, as its row holds it.
struct JobRow: Sendable, Hashable {
    var job: JobReport
    var facts: JobFacts?
    var lastSeenAt: Timestamp

    /// Writes the row or brings it up to date; an end, once written, and facts, once known, stay.
    func save(_ db: Database, node: Int64) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO job_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (job, node, first_seen_at) DO UPDATE SET
                  account = coalesce(excluded.account, account), partition = coalesce(excluded.partition, partition),
                  array_job = coalesce(excluded.array_job, array_job),
                  array_task = coalesce(excluded.array_task, array_task),
                  cpus = max(cpus, excluded.cpus), tasks = max(tasks, excluded.tasks), cores = excluded.cores,
                  core_count = excluded.core_count, memory = excluded.memory, serverless = excluded.serverless,
                  remote_memory = excluded.remote_memory, last_seen_at = excluded.last_seen_at,
                  ended_at = coalesce(ended_at, excluded.ended_at), measured = excluded.measured,
                  peak_memory = excluded.peak_memory, held_core_s = excluded.held_core_s,
                  used_core_s = excluded.used_core_s, lent_core_s = excluded.lent_core_s,
                  held_byte_s = excluded.held_byte_s, used_byte_s = excluded.used_byte_s,
                  lent_byte_s = excluded.lent_byte_s, day = excluded.day, unused = excluded.unused
                """)
        try statement.execute(
            arguments: StatementArguments(
                [
                    Int64(job.jobID.number), node, job.firstSeenAt.nanosecondsSinceEpoch, Int64(job.user.number),
                    try facts?.account.map { try Self.word($0, db) },
                    try facts?.partition.map { try Self.word($0, db) },
                    (facts?.arrayJobID).map { Int64($0.number) }, (facts?.arrayTask).map { Int64($0) },
                    facts?.cpus ?? 0,
                    facts?.tasks ?? 0, job.cores.description, job.cores.count, job.memory.bytes, job.serverless,
                    job.remoteMemory, lastSeenAt.nanosecondsSinceEpoch, job.endedAt?.nanosecondsSinceEpoch,
                    job.measured,
                    job.peakMemory.bytes, job.heldCoreSeconds, job.usedCoreSeconds, job.lentCoreSeconds,
                    job.heldByteSeconds, job.usedByteSeconds, job.lentByteSeconds, Self.day(lastSeenAt),
                    Self.unused(job),
                ] as [(any DatabaseValueConvertible)?]))
    }

    /// - Parameter row: of `job_runs`, with the words of its account and partition as `account_word`, `partition_word`.
    init(_ row: Row) {
        job = JobReport(
            jobID: JobID(UInt32(truncatingIfNeeded: row["job"] as Int64)), user: History.user(row),
            cores: AbstractCoreSet(parsing: row["cores"] as String) ?? AbstractCoreSet(),
            memory: ByteCount(row["memory"] as Int64), serverless: row["serverless"],
            remoteMemory: row["remote_memory"], firstSeenAt: History.time(row["first_seen_at"]),
            endedAt: (row["ended_at"] as Int64?).map(History.time), measured: row["measured"],
            heldCoreSeconds: row["held_core_s"], usedCoreSeconds: row["used_core_s"],
            lentCoreSeconds: row["lent_core_s"], heldByteSeconds: row["held_byte_s"],
            usedByteSeconds: row["used_byte_s"], lentByteSeconds: row["lent_byte_s"],
            peakMemory: ByteCount(row["peak_memory"] as Int64))
        facts = JobFacts(
            jobID: job.jobID, account: row["account_word"], partition: row["partition_word"],
            arrayJobID: (row["array_job"] as Int64?).map { JobID(UInt32(truncatingIfNeeded: $0)) },
            arrayTask: (row["array_task"] as Int64?).map { UInt32(truncatingIfNeeded: $0) }, cpus: row["cpus"],
            tasks: row["tasks"])
        lastSeenAt = History.time(row["last_seen_at"])
    }

    init(job: JobReport, facts: JobFacts?, lastSeenAt: Timestamp) {
        self.job = job
        self.facts = facts
        self.lastSeenAt = lastSeenAt
    }

    /// What `init(_:)` reads.
    static let select = """
        SELECT r.*, n.name AS node_name, a.word AS account_word, p.word AS partition_word FROM job_runs r
        JOIN nodes n ON n.id = r.node LEFT JOIN words a ON a.id = r.account LEFT JOIN words p ON p.id = r.partition
        """

    /// The number of a word, which it gets when it has none.
    static func word(_ text: String, _ db: Database) throws -> Int64 {
        let select = try db.cachedStatement(sql: "SELECT id FROM words WHERE word = ?")
        if let id = try Int64.fetchOne(select, arguments: [text]) { return id }
        try db.execute(sql: "INSERT INTO words (word) VALUES (?)", arguments: [text])
        return db.lastInsertedRowID
    }

    static func day(_ time: Timestamp) -> Int64 { time.nanosecondsSinceEpoch / 86_400_000_000_000 }

    /// How much a job left unused, in core-seconds, by which jobs are listed: memory counts as a core for each 4 GiB.
    static func unused(_ job: JobReport) -> Int64 {
        guard job.measured else { return 0 }
        let cores = max(0, job.heldCoreSeconds - job.usedCoreSeconds)
        let memory = max(0, job.heldByteSeconds - job.usedByteSeconds) / Double(4 << 30)
        return Int64(min(cores + memory, 1e18))
    }
}
