internal import FallowModel
internal import FallowReporting
internal import FallowWire
internal import GRDB

extension History {
    /// Writes what has been gathered since the last time, in one transaction.
    ///
    /// Not to be called beside `record`. When it fails, what was gathered is dropped: sums come back with the next reports.
    public func flush() throws(HistoryError) {
        let pending = state.withLock { $0 }
        guard pending.hasChanges else { return }
        do {
            let ids = try write { db in try Self.save(pending, db) }
            state.withLock { state in
                state.nodeIDs.merge(ids) { _, new in new }
                state.wasSaved()
            }
        } catch {
            state.withLock { $0.wasLost() }
            throw error
        }
    }

    private static func save(_ state: HistoryState, _ db: Database) throws -> [NodeName: Int64] {
        var ids = state.nodeIDs
        for name in state.changedNodes.sorted() {
            guard let account = state.accounts.nodes[name] else { continue }
            let id =
                try ids[name]
                ?? number(of: name, cores: account.cores, memory: account.memory, account.instanceStartedAt, db)
            ids[name] = id
            let update = try db.cachedStatement(
                sql: """
                    UPDATE nodes SET cores = ?2, memory = ?3, partitions = ?4 WHERE id = ?1
                      AND (cores <> ?2 OR memory <> ?3 OR partitions <> ?4)
                    """)
            if let partitions = state.partitions[name] {
                try update.execute(arguments: [id, account.cores, account.memory.bytes, partitions])
            }
            try save(account, node: id, db)
        }
        var chunks = UsageChunks()
        for (node, growth) in state.growth {
            if let id = ids[node] { chunks.add(growth, node: id) }
        }
        try chunks.save(db)
        for key in state.changedJobs.sorted(by: { $0.node < $1.node }) {
            guard let row = state.accounts.jobs[key.node]?[key] else { continue }
            let id = try ids[key.node] ?? number(of: key.node, cores: 0, memory: .zero, row.lastSeenAt, db)
            ids[key.node] = id
            try row.save(db, node: id)
        }
        var owners: [HistoryState.Owner: NodeUse] = [:]
        for parts in state.owners.values { owners.merge(parts) { $0 + $1 } }
        for (owner, use) in owners { try add(use, to: owner, db) }
        for (key, bucket) in state.tallies { try add(bucket, to: key, db) }
        return ids
    }

    static func number(
        of node: NodeName, cores: Int, memory: ByteCount, _ first: Timestamp, _ db: Database
    ) throws -> Int64 {
        if let id = try Int64.fetchOne(db, sql: "SELECT id FROM nodes WHERE name = ?", arguments: [node.text]) {
            return id
        }
        try db.execute(
            sql: "INSERT INTO nodes (name, cores, memory, first_at) VALUES (?, ?, ?, ?)",
            arguments: [node.text, cores, memory.bytes, first.nanosecondsSinceEpoch])
        return db.lastInsertedRowID
    }

    static func save(_ account: NodeAccount, node: Int64, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO node_accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let use = account.integrals
        try statement.execute(
            arguments: [
                node, Int64(bitPattern: account.instance), account.instanceStartedAt.nanosecondsSinceEpoch,
                account.at.nanosecondsSinceEpoch, use.elapsedSeconds, use.allocatedCoreSeconds, use.usedCoreSeconds,
                use.lentCoreSeconds, use.recoveredCoreSeconds, use.allocatedByteSeconds, use.usedByteSeconds,
                use.lentByteSeconds, account.idleSince?.nanosecondsSinceEpoch,
                account.partlyIdleSince?.nanosecondsSinceEpoch,
            ])
    }

    static func add(_ use: NodeUse, to owner: HistoryState.Owner, _ db: Database) throws {
        let marks = Schema.useColumns.map { _ in "?" }.joined(separator: ", ")
        let sums = Schema.useColumns.map { "\($0) = \($0) + excluded.\($0)" }.joined(separator: ", ")
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO owner_hours VALUES (?, ?, ?, ?, \(marks))
                ON CONFLICT (hour, user, account, partition) DO UPDATE SET \(sums)
                """)
        var values: [(any DatabaseValueConvertible)?] = [
            owner.hour, Int64(owner.user.number), try JobRow.word(owner.account, db),
            try JobRow.word(owner.partition, db),
        ]
        for field in NodeUse.Field.allCases { values.append(use[field]) }
        try statement.execute(arguments: StatementArguments(values))
    }

    static func add(_ bucket: Tally.Bucket, to key: HistoryState.TallyKey, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO tallies VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (hour, kind, bucket) DO UPDATE SET count = count + excluded.count, sum = sum + excluded.sum
                """)
        try statement.execute(arguments: [key.hour, key.kind.rawValue, key.bucket, bucket.count, bucket.sum])
    }

    /// Counts a reclaim that took so long.
    static func count(vacate microseconds: Int, at: Timestamp, _ db: Database) throws {
        let value = Double(microseconds)
        let bucket = Tally.Bucket(count: 1, sum: value)
        let hour = at.nanosecondsSinceEpoch / 3_600_000_000_000
        let number = Tally.bucket(of: value)
        try add(bucket, to: .init(hour: hour, kind: .vacateMicroseconds, bucket: number), db)
        guard microseconds > 10_000 else { return }
        try add(bucket, to: .init(hour: hour, kind: .lateVacateMicroseconds, bucket: number), db)
    }

    /// The accounts as the file has them.
    static func load(_ db: Database) throws -> HistoryState {
        var state = HistoryState()
        let rows = try Row.fetchAll(
            db, sql: "SELECT * FROM nodes LEFT JOIN node_accounts ON node_accounts.node = nodes.id")
        for row in rows {
            let name = NodeName(row["name"])
            state.nodeIDs[name] = row["id"]
            state.partitions[name] = row["partitions"]
            guard let instance = row["instance"] as Int64? else { continue }
            state.accounts.nodes[name] = NodeAccount(
                instance: UInt64(bitPattern: instance), instanceStartedAt: time(row["instance_started_at"]),
                at: time(row["at"]), cores: row["cores"], memory: ByteCount(row["memory"] as Int64),
                integrals: integrals(row), idleSince: (row["idle_since"] as Int64?).map(time),
                partlyIdleSince: (row["partly_idle_since"] as Int64?).map(time))
        }
        for row in try Row.fetchAll(db, sql: JobRow.select + " WHERE r.ended_at IS NULL") {
            let job = JobRow(row)
            let name = NodeName(row["node_name"])
            let key = HistoryState.JobKey(node: name, job: job.job.jobID, firstSeenAt: job.job.firstSeenAt)
            state.accounts.jobs[name, default: [:]][key] = job
        }
        state.saved = state.accounts
        return state
    }

    static func integrals(_ row: Row) -> NodeIntegrals {
        NodeIntegrals(
            elapsedSeconds: row["elapsed_s"], allocatedCoreSeconds: row["allocated_core_s"],
            usedCoreSeconds: row["used_core_s"], lentCoreSeconds: row["lent_core_s"],
            recoveredCoreSeconds: row["recovered_core_s"], allocatedByteSeconds: row["allocated_byte_s"],
            usedByteSeconds: row["used_byte_s"], lentByteSeconds: row["lent_byte_s"])
    }
}
