internal import FallowModel
internal import FallowReporting
internal import FallowWire
internal import GRDB

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

extension Schema {
    /// Carries what the first version's tables hold over into the second's, and drops the old ones.
    static func convertFirst(_ db: Database) throws {
        let nodes = try Row.fetchAll(
            db,
            sql: """
                SELECT node, cores, memory, min(instance_started_at) AS first, max(at) FROM node_usage GROUP BY node
                ORDER BY node
                """)
        for node in nodes {
            try db.execute(
                sql: "INSERT INTO nodes (name, cores, memory, first_at) VALUES (?, ?, ?, ?)",
                arguments: [
                    node["node"] as String, node["cores"] as Int, node["memory"] as Int64, node["first"] as Int64,
                ])
            try convertUsage(db, node: node["node"], id: db.lastInsertedRowID)
        }
        for row in try Row.fetchAll(db, sql: "SELECT * FROM jobs") {
            let text: String = row["report"]
            guard let job = try? JSONDecoder().decode(JobReport.self, from: Data(text.utf8)),
                let id = try Int64.fetchOne(
                    db, sql: "SELECT id FROM nodes WHERE name = ?", arguments: [row["node"] as String])
            else { continue }
            try JobRow(job: job, facts: nil, lastSeenAt: History.time(row["last_seen_at"])).save(db, node: id)
        }
        for row in try Row.fetchAll(db, sql: "SELECT * FROM leases WHERE ended_at IS NOT NULL") {
            try History.count(ended: row, db)
        }
        for row in try Row.fetchAll(db, sql: "SELECT at, vacate_us FROM reclaims") {
            try History.count(vacate: row["vacate_us"], at: History.time(row["at"]), db)
        }
        for table in ["node_usage", "usage_samples", "jobs"] { try db.execute(sql: "DROP TABLE \(table)") }
    }

    private static func convertUsage(_ db: Database, node: String, id: Int64) throws {
        var chunks = UsageChunks()
        var account: NodeAccount?
        let samples = try Row.fetchAll(
            db,
            sql: """
                SELECT *, elapsed_s AS elapsed FROM usage_samples WHERE node = ? ORDER BY instance_started_at, instance,
                  minute
                """, arguments: [node])
        for row in samples {
            let report = NodeReport(
                node: NodeName(node), agentURL: "", version: "", instance: UInt64(bitPattern: row["instance"]),
                sequence: 0, at: History.time(row["at"]), instanceStartedAt: History.time(row["instance_started_at"]),
                cores: row["cores"], memory: ByteCount(row["memory"] as Int64), offer: Offer(), withheldReason: nil,
                switches: LendingSwitches(), integrals: History.integrals(row), jobs: [], leases: [], ended: [],
                reclaims: [])
            if var known = account {
                if let growth = known.take(report, at: report.at, isDown: false) { chunks.add(growth, node: id) }
                account = known
            } else {
                let (opened, growth) = NodeAccount.open(report, at: report.at, isDown: false)
                account = opened
                chunks.add(growth, node: id)
            }
        }
        account?.idleSince = nil
        account?.partlyIdleSince = nil
        try chunks.save(db)
        if let account { try History.save(account, node: id, db) }
    }
}
