public import FallowModel
public import FallowWire
internal import GRDB

/// A row of the ledger: a lease from its grant to its end.
public struct LedgerLease: Sendable, Hashable {
    public var leaseID: LeaseID
    public var kind: LeaseKind
    public var requestID: UInt64
    public var user: UserID
    public var node: NodeName
    public var clientNode: NodeName
    public var cpus: Int
    public var memory: ByteCount
    public var libraryName: String
    public var grantedAt: Timestamp
    public var termEnds: Timestamp
    public var startedAt: Timestamp?
    public init(
        leaseID: LeaseID, kind: LeaseKind = .functions, requestID: UInt64, user: UserID, node: NodeName,
        clientNode: NodeName, cpus: Int, memory: ByteCount, libraryName: String, grantedAt: Timestamp,
        termEnds: Timestamp, startedAt: Timestamp?
    ) {
        self.leaseID = leaseID
        self.kind = kind
        self.requestID = requestID
        self.user = user
        self.node = node
        self.clientNode = clientNode
        self.cpus = cpus
        self.memory = memory
        self.libraryName = libraryName
        self.grantedAt = grantedAt
        self.termEnds = termEnds
        self.startedAt = startedAt
    }
}

extension History {
    /// Writes a lease's grant, start or new term; the first word on what does not change stays.
    public func recordLease(_ lease: LedgerLease) throws(HistoryError) {
        try write { db in
            try db.execute(
                sql: """
                    INSERT INTO leases (lease, request, user, node, client_node, cpus, memory, library, granted_at,
                      term_ends, started_at, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET term_ends = excluded.term_ends,
                      started_at = coalesce(started_at, excluded.started_at)
                    """,
                arguments: [
                    lease.leaseID.description, Int64(bitPattern: lease.requestID), Int64(lease.user.number),
                    lease.node.text, lease.clientNode.text, lease.cpus, lease.memory.bytes, lease.libraryName,
                    lease.grantedAt.nanosecondsSinceEpoch, lease.termEnds.nanosecondsSinceEpoch,
                    lease.startedAt?.nanosecondsSinceEpoch, lease.kind.rawValue,
                ])
        }
    }

    /// Writes a lease's end, once: the first word on it stays.
    public func recordEnd(
        of lease: LeaseID, at: Timestamp, reason: LeaseEnd, detail: String?, report: LeaseReport?
    ) throws(HistoryError) {
        try write { db in
            try db.execute(
                sql: """
                    UPDATE leases SET ended_at = ?, reason = ?, detail = ?, beneath = ?, used_core_s = ?,
                      started_at = coalesce(started_at, ?) WHERE lease = ? AND ended_at IS NULL
                    """,
                arguments: [
                    at.nanosecondsSinceEpoch, reason.rawValue, detail, report?.beneath.map { Int64($0.number) },
                    report?.usedCoreSeconds ?? 0, report?.startedAt.nanosecondsSinceEpoch, lease.description,
                ])
            guard db.changesCount == 1,
                let row = try Row.fetchOne(
                    db, sql: "SELECT * FROM leases WHERE lease = ?", arguments: [lease.description])
            else { return }
            try Self.count(ended: row, db)
        }
    }

    /// Counts a lease that ended, a row of `leases`, in the hour of its end.
    static func count(ended row: Row, _ db: Database) throws {
        let end: Int64 = row["ended_at"]
        let held = Double(max(0, end - (row["started_at"] as Int64? ?? end))) / 1e9
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO lease_hours VALUES (?, ?, ?, 1, ?, ?, ?)
                ON CONFLICT (hour, user, reason) DO UPDATE SET count = count + 1, core_s = core_s + excluded.core_s,
                  used_core_s = used_core_s + excluded.used_core_s, byte_s = byte_s + excluded.byte_s
                """)
        try statement.execute(
            arguments: [
                end / 3_600_000_000_000, row["user"] as Int64,
                try JobRow.word(row["reason"] as String? ?? "unknown", db), held * (row["cpus"] as Double),
                row["used_core_s"] as Double, held * (row["memory"] as Double),
            ])
    }

    /// Leases whose end is not written: what ran or was granted when this program last stopped.
    public func openLeases() throws(HistoryError) -> [LedgerLease] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM leases WHERE ended_at IS NULL ORDER BY granted_at")
                .compactMap { row in
                    guard let id = LeaseID(parsing: row["lease"] as String) else { return nil }
                    return LedgerLease(
                        leaseID: id, kind: Self.kind(row), requestID: UInt64(bitPattern: row["request"]),
                        user: Self.user(row),
                        node: NodeName(row["node"]), clientNode: NodeName(row["client_node"]), cpus: row["cpus"],
                        memory: ByteCount(row["memory"] as Int64), libraryName: row["library"],
                        grantedAt: Self.time(row["granted_at"]), termEnds: Self.time(row["term_ends"]),
                        startedAt: (row["started_at"] as Int64?).map(Self.time))
                }
        }
    }

    /// Leases that ended, the latest first.
    ///
    /// - Parameter user: only this one's; nil: everybody's.
    public func endedLeases(user: UserID?, limit: Int = 1000) throws(HistoryError) -> [LeaseView] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM leases WHERE ended_at IS NOT NULL AND (? IS NULL OR user = ?)
                    ORDER BY ended_at DESC LIMIT ?
                    """, arguments: [user.map { Int64($0.number) }, user.map { Int64($0.number) }, limit]
            ).compactMap { row in
                guard let id = LeaseID(parsing: row["lease"] as String) else { return nil }
                return LeaseView(
                    leaseID: id, kind: Self.kind(row), user: Self.user(row), node: NodeName(row["node"]),
                    clientNode: NodeName(row["client_node"]), cpus: row["cpus"],
                    memory: ByteCount(row["memory"] as Int64), grantedAt: Self.time(row["granted_at"]),
                    termEnds: Self.time(row["term_ends"]), endedAt: (row["ended_at"] as Int64?).map(Self.time),
                    reason: (row["reason"] as String?).flatMap(LeaseEnd.init), detail: row["detail"],
                    beneath: (row["beneath"] as Int64?).map { JobID(UInt32(truncatingIfNeeded: $0)) },
                    usedCoreSeconds: row["used_core_s"], libraryName: row["library"])
            }
        }
    }

    static func kind(_ row: Row) -> LeaseKind { LeaseKind(rawValue: row["kind"]) ?? .functions }
    static func user(_ row: Row) -> UserID { UserID(UInt32(truncatingIfNeeded: row["user"] as Int64)) }
    static func time(_ nanoseconds: Int64) -> Timestamp { Timestamp(nanosecondsSinceEpoch: nanoseconds) }
}
