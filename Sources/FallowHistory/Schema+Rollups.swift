internal import FallowReporting
internal import GRDB

extension Schema {
    /// Columns of a level's chunks and of what adds up, in the order of `NodeUse.Field`.
    static let useColumns = [
        "capacity", "down", "allocated", "used", "lent", "recovered", "memory_capacity", "memory_allocated",
        "memory_used", "memory_lent",
    ]

    /// The tables of the second migration.
    static func addRollups(_ db: Database) throws {
        let sums = useColumns.map { "\($0) INTEGER NOT NULL" }.joined(separator: ", ")
        for level in Level.allCases {
            // key: chunk << 20 | node. A range of time is a range of keys, and new rows are the last.
            try db.execute(sql: "CREATE TABLE \(table(level)) (key INTEGER PRIMARY KEY, \(sums), steps BLOB NOT NULL)")
        }
        try db.execute(
            sql: """
                CREATE TABLE nodes (
                  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cores INTEGER NOT NULL, memory INTEGER NOT NULL,
                  partitions TEXT NOT NULL DEFAULT '', first_at INTEGER NOT NULL);
                CREATE TABLE node_accounts (
                  node INTEGER PRIMARY KEY, instance INTEGER NOT NULL, instance_started_at INTEGER NOT NULL,
                  at INTEGER NOT NULL, elapsed_s REAL NOT NULL, allocated_core_s REAL NOT NULL,
                  used_core_s REAL NOT NULL, lent_core_s REAL NOT NULL, recovered_core_s REAL NOT NULL,
                  allocated_byte_s REAL NOT NULL, used_byte_s REAL NOT NULL, lent_byte_s REAL NOT NULL,
                  idle_since INTEGER, partly_idle_since INTEGER);
                CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
                CREATE TABLE job_runs (
                  job INTEGER NOT NULL, node INTEGER NOT NULL, first_seen_at INTEGER NOT NULL, user INTEGER NOT NULL,
                  account INTEGER, partition INTEGER, array_job INTEGER, array_task INTEGER, cpus INTEGER NOT NULL,
                  tasks INTEGER NOT NULL, cores TEXT NOT NULL, core_count INTEGER NOT NULL, memory INTEGER NOT NULL,
                  serverless TEXT, remote_memory TEXT, last_seen_at INTEGER NOT NULL, ended_at INTEGER,
                  measured INTEGER NOT NULL, peak_memory INTEGER NOT NULL,
                  held_core_s REAL NOT NULL, used_core_s REAL NOT NULL, lent_core_s REAL NOT NULL,
                  held_byte_s REAL NOT NULL, used_byte_s REAL NOT NULL, lent_byte_s REAL NOT NULL,
                  day INTEGER NOT NULL, unused INTEGER NOT NULL);
                CREATE UNIQUE INDEX job_runs_key ON job_runs (job, node, first_seen_at);
                CREATE INDEX job_runs_open ON job_runs (node) WHERE ended_at IS NULL;
                CREATE INDEX job_runs_day ON job_runs (day, unused);
                CREATE INDEX job_runs_user ON job_runs (user, day, unused);
                CREATE INDEX job_runs_account ON job_runs (account, day, unused) WHERE account IS NOT NULL;
                CREATE INDEX job_runs_partition ON job_runs (partition, day, unused) WHERE partition IS NOT NULL;
                CREATE INDEX job_runs_node ON job_runs (node, day, unused);
                CREATE INDEX job_runs_array ON job_runs (array_job) WHERE array_job IS NOT NULL;
                CREATE TABLE owner_hours (
                  hour INTEGER NOT NULL, user INTEGER NOT NULL, account INTEGER NOT NULL, partition INTEGER NOT NULL,
                  \(sums), PRIMARY KEY (hour, user, account, partition)) WITHOUT ROWID;
                CREATE TABLE lease_hours (
                  hour INTEGER NOT NULL, user INTEGER NOT NULL, reason INTEGER NOT NULL, count INTEGER NOT NULL,
                  core_s REAL NOT NULL, used_core_s REAL NOT NULL, byte_s REAL NOT NULL,
                  PRIMARY KEY (hour, user, reason)) WITHOUT ROWID;
                CREATE TABLE tallies (
                  hour INTEGER NOT NULL, kind INTEGER NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL,
                  sum REAL NOT NULL, PRIMARY KEY (hour, kind, bucket)) WITHOUT ROWID;
                CREATE TABLE losses (
                  since INTEGER NOT NULL, until INTEGER NOT NULL, writes INTEGER NOT NULL, reason TEXT NOT NULL);
                """)
    }

    static func table(_ level: Level) -> String {
        switch level {
        case .raw: "usage_raw"
        case .minutes: "usage_minutes"
        case .hours: "usage_hours"
        }
    }
}

/// What tallies count, in the table's `kind`.
enum TallyKind: Int, Sendable {
    case nodeGapSeconds = 0
    case coreGapSeconds = 1
    case vacateMicroseconds = 2
    /// Those of them that took longer than the promise.
    case lateVacateMicroseconds = 3
}
