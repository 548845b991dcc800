internal import GRDB

/// The tables, by migrations that are only ever added to.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1: usage, jobs, leases, reclaims, switches") { db in
            // Cumulative integrals of an agent's run: the latest, and one sample a minute for differences.
            for table in ["node_usage", "usage_samples"] {
                try db.execute(
                    sql: """
                        CREATE TABLE \(table) (
                          node TEXT NOT NULL, instance INTEGER NOT NULL, minute INTEGER NOT NULL,
                          at INTEGER NOT NULL, instance_started_at INTEGER NOT NULL,
                          cores INTEGER NOT NULL, memory INTEGER NOT NULL,
                          elapsed_s REAL NOT NULL, allocated_core_s REAL NOT NULL, used_core_s REAL NOT NULL,
                          lent_core_s REAL NOT NULL, recovered_core_s REAL NOT NULL,
                          allocated_byte_s REAL NOT NULL, used_byte_s REAL NOT NULL, lent_byte_s REAL NOT NULL,
                          PRIMARY KEY (node, instance\(table == "usage_samples" ? ", minute" : "")))
                        WITHOUT ROWID
                        """)
            }
            try db.execute(
                sql: """
                    CREATE INDEX usage_samples_minute ON usage_samples (minute);
                    CREATE TABLE jobs (
                      node TEXT NOT NULL, job INTEGER NOT NULL, first_seen_at INTEGER NOT NULL,
                      user INTEGER NOT NULL, last_seen_at INTEGER NOT NULL, ended_at INTEGER,
                      report TEXT NOT NULL, PRIMARY KEY (node, job, first_seen_at));
                    CREATE INDEX jobs_last_seen ON jobs (last_seen_at);
                    CREATE TABLE leases (
                      lease TEXT PRIMARY KEY, request INTEGER NOT NULL, user INTEGER NOT NULL, node TEXT NOT NULL,
                      client_node TEXT NOT NULL, cpus INTEGER NOT NULL, memory INTEGER NOT NULL,
                      library TEXT NOT NULL, granted_at INTEGER NOT NULL, term_ends INTEGER NOT NULL,
                      started_at INTEGER, ended_at INTEGER, reason TEXT, detail TEXT, beneath INTEGER,
                      used_core_s REAL NOT NULL DEFAULT 0);
                    CREATE INDEX leases_ended ON leases (ended_at);
                    CREATE TABLE reclaims (
                      node TEXT NOT NULL, at INTEGER NOT NULL, job INTEGER NOT NULL, step INTEGER NOT NULL,
                      leases INTEGER NOT NULL, vacate_us INTEGER NOT NULL, stuck INTEGER NOT NULL,
                      PRIMARY KEY (node, at, job, step));
                    CREATE INDEX reclaims_at ON reclaims (at);
                    CREATE TABLE switches (
                      scope TEXT PRIMARY KEY, unallocated INTEGER, lent INTEGER);
                    """)
        }
        migrator.registerMigration("2: kinds of leases") { db in
            try db.execute(sql: "ALTER TABLE leases ADD COLUMN kind TEXT NOT NULL DEFAULT 'functions'")
        }
        migrator.registerMigration("3: rollups") { db in
            try addRollups(db)
            try convertFirst(db)
        }
        return migrator
    }
}
