import FallowModel
import FallowWire
import Foundation
import GRDB
import Testing

@testable import FallowHistory

private let t0 = Timestamp(secondsSinceEpoch: 1_700_000_000)

private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = "/tmp/fallow-history-file.\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}

private func report(_ node: String, _ seconds: Double, jobs: [JobReport] = []) -> NodeReport {
    NodeReport(
        node: NodeName(node), agentURL: "http://n:1", version: "1", instance: 1, sequence: 1,
        at: t0 + .seconds(seconds),
        instanceStartedAt: t0, cores: 8, memory: .gibibytes(16), offer: Offer(), withheldReason: nil,
        switches: LendingSwitches(),
        integrals: NodeIntegrals(
            elapsedSeconds: seconds, allocatedCoreSeconds: seconds * 4, usedCoreSeconds: seconds * 2,
            allocatedByteSeconds: seconds * 1_048_576, usedByteSeconds: seconds * 524_288), jobs: jobs, leases: [],
        ended: [], reclaims: [])
}

private func job(_ id: UInt32, _ seconds: Double, ended: Bool = false, user: UInt32 = 7) -> JobReport {
    JobReport(
        jobID: JobID(id), user: UserID(user), cores: AbstractCoreSet(0...3), memory: .gibibytes(8), firstSeenAt: t0,
        endedAt: ended ? t0 + .seconds(seconds) : nil, measured: true, heldCoreSeconds: seconds * 4,
        usedCoreSeconds: seconds * 2, lentCoreSeconds: seconds, peakMemory: .gibibytes(1))
}

/// Whole minutes: t0 is 20 s after one.
private func query(_ from: Double = -20, _ to: Double = 7200, _ change: (inout ReportQuery) -> Void = { _ in })
    -> ReportQuery
{
    var query = ReportQuery(since: t0 + .seconds(from), until: t0 + .seconds(to))
    change(&query)
    return query
}

@Suite struct HistoryFileTests {
    @Test func aKillLosesNoSums() throws {
        try withFolder { folder in
            let path = folder + "/h.sqlite"
            // Each block is a life: nothing is flushed at its end but what must be.
            do {
                let history = try History(path: path)
                try history.record(report("n1", 60, jobs: [job(1, 60), job(2, 60)]), receivedAt: t0 + .seconds(60))
                try history.flush()
                try history.record(
                    report("n1", 120, jobs: [job(1, 120), job(2, 110, ended: true)]), receivedAt: t0 + .seconds(120))
            }
            let history = try History(path: path)
            #expect(try history.endedJobs(user: nil).map(\.job.usedCoreSeconds) == [220])
            #expect(try history.capacityReport(query()).total?.usedCoreSeconds == 120)
            try history.record(report("n1", 180, jobs: [job(1, 180)]), receivedAt: t0 + .seconds(180))
            try history.flush()
            let after = try history.capacityReport(query())
            #expect(after.total?.usedCoreSeconds == 360 && after.jobTotal.usedCoreSeconds == 580)
            #expect(after.lenders.map(\.coreSeconds) == [290])
        }
    }

    @Test func filtersAndWhatTheyLeaveOut() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            history.note(
                jobs: [
                    JobFacts(jobID: JobID(1), account: "physics", partition: "batch", cpus: 4, tasks: 1),
                    JobFacts(jobID: JobID(2), account: "bio", partition: "long", arrayJobID: JobID(9), arrayTask: 3),
                ], partitions: [NodeName("n1"): "batch", NodeName("n2"): "batch,long"])
            for seconds in [60.0, 120] {
                try history.record(report("n1", seconds, jobs: [job(1, seconds)]), receivedAt: t0 + .seconds(seconds))
                try history.record(
                    report("n2", seconds, jobs: [job(1, seconds), job(2, seconds, user: 8)]),
                    receivedAt: t0 + .seconds(seconds))
            }
            try history.flush()
            let all = try history.capacityReport(query())
            #expect(all.nodeCount == 2 && all.total?.usedCoreSeconds == 480 && all.jobTotal.usedCoreSeconds == 720)
            #expect(all.jobs.map(\.facts.jobID.number) == [1, 2] && all.jobs.first?.nodes == 2)
            let long = try history.capacityReport(query { $0.partition = "long" })
            #expect(long.nodes.map(\.node.text) == ["n2"] && long.jobs.map(\.facts.arrayTask) == [3])
            #expect(long.jobTotal.usedCoreSeconds == 240)
            let bio = try history.capacityReport(query { $0.account = "bio" })
            #expect(bio.total == nil && bio.jobTotal.usedCoreSeconds == 240 && bio.jobs.count == 1)
            let user = try history.capacityReport(query { $0.user = UserID(7) })
            #expect(user.total == nil && user.jobTotal.usedCoreSeconds == 480)
            let node = try history.capacityReport(query { $0.nodes = [NodeName("n1")] })
            #expect(node.total?.usedCoreSeconds == 240 && node.jobs.count == 1)
            #expect(node.jobTotal.usedCoreSeconds == 240)
            // The sums are of every job on the node, listed or not.
            let one = try history.capacityReport(
                query {
                    $0.nodes = [NodeName("n2")]
                    $0.jobLimit = 1
                })
            #expect(one.jobs.count == 1 && one.jobTotal.usedCoreSeconds == 480)
            #expect(try history.capacityReport(query { $0.job = JobID(9) }).jobs.map(\.facts.jobID.number) == [2])
            #expect(try history.capacityReport(query { $0.job = JobID(1) }).jobTotal.usedCoreSeconds == 480)
            #expect(try history.capacityReport(query { $0.partition = "none" }).nodeCount == 0)
            // What was before nodes were known is nobody's; what was neither watched nor down is said.
            let later = try history.capacityReport(query(-3600, 3720))
            #expect(later.total?.unwatchedCoreSeconds == 2 * 8 * 3600 && later.total?.coreSeconds == 2 * 8 * 3720)
        }
    }

    @Test func aNodeThatIsDownIsNotUnwatched() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            try history.record(report("n1", 60), receivedAt: t0 + .seconds(60))
            history.noteDown([(NodeName("n1"), 8)], from: t0 + .seconds(30), to: t0 + .seconds(90))
            history.noteDown(
                [(NodeName("n1"), 8), (NodeName("n2"), 8)], from: t0 + .seconds(120), to: t0 + .seconds(180))
            try history.flush()
            let report = try history.capacityReport(query(-20, 180))
            #expect(report.total?.downCoreSeconds == 480 && report.total?.unwatchedCoreSeconds == 480)
        }
    }

    @Test func theFirstVersionsFileIsCarriedOver() throws {
        try withFolder { folder in
            let path = folder + "/h.sqlite"
            let old = try DatabaseQueue(path: path)
            try Schema.migrator.migrate(old, upTo: "1: usage, jobs, leases, reclaims, switches")
            let text = String(decoding: try JSONEncoder().encode(job(5, 600, ended: true)), as: UTF8.self)
            try old.write { db in
                for minute in 1...10 {
                    let at = t0 + .seconds(minute * 60)
                    for table in ["node_usage", "usage_samples"] {
                        try db.execute(
                            sql: "INSERT OR REPLACE INTO \(table) VALUES (?, 3, ?, ?, ?, 8, ?, ?, 0, ?, 0, 0, 0, 0, 0)",
                            arguments: [
                                "n1", at.nanosecondsSinceEpoch / 60_000_000_000, at.nanosecondsSinceEpoch,
                                t0.nanosecondsSinceEpoch, Int64(16) << 30, Double(minute * 60), Double(minute * 120),
                            ])
                    }
                }
                try db.execute(
                    sql: "INSERT INTO jobs VALUES ('n1', 5, ?, 7, ?, ?, ?)",
                    arguments: [
                        t0.nanosecondsSinceEpoch, (t0 + .seconds(600)).nanosecondsSinceEpoch,
                        (t0 + .seconds(600)).nanosecondsSinceEpoch, text,
                    ])
                try db.execute(
                    sql: """
                        INSERT INTO leases VALUES ('00000000000000aa', 1, 7, 'n1', 'n2', 2, 1024, 'f.so', 1, 2, ?, ?,
                          'expired', NULL, NULL, 3)
                        """,
                    arguments: [t0.nanosecondsSinceEpoch, (t0 + .seconds(10)).nanosecondsSinceEpoch])
                try db.execute(
                    sql: "INSERT INTO reclaims VALUES ('n1', ?, 5, 0, 1, 20000, 0)",
                    arguments: [t0.nanosecondsSinceEpoch])
            }
            try old.close()
            let history = try History(path: path)
            let all = try history.capacityReport(query())
            #expect(all.total?.usedCoreSeconds == 1200 && all.jobs.map(\.usedCoreSeconds) == [1200])
            #expect(all.leases.map(\.coreSeconds) == [20] && all.reclaims?.late == 1)
            #expect(try history.capacityReport(query(-20, 280)).total?.usedCoreSeconds == 560)
            // The agent's run goes on where it was.
            var next = report("n1", 660)
            next.instance = 3
            next.integrals = NodeIntegrals(elapsedSeconds: 660, usedCoreSeconds: 1320)
            try history.record(next, receivedAt: t0 + .seconds(660))
            try history.flush()
            #expect(try history.capacityReport(query()).total?.usedCoreSeconds == 1320)
        }
    }

    @Test func damagedPagesAreNamedAndTheFileStays() throws {
        try withFolder { folder in
            let path = folder + "/h.sqlite"
            do {
                let history = try History(path: path)
                for minute in 1...500 {
                    try history.record(report("n\(minute)", 60), receivedAt: t0 + .seconds(60))
                }
                try history.flush()
                try history.database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
            }
            var bytes = try Data(contentsOf: URL(filePath: path))
            for index in stride(from: 8192, to: bytes.count, by: 4096) {
                bytes.replaceSubrange(index..<index + 200, with: Data(repeating: 0xa5, count: 200))
            }
            try bytes.write(to: URL(filePath: path))
            for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
            let error = #expect(throws: HistoryError.self) { try History(path: path) }
            #expect(error?.kind == .corrupt && error?.description.contains("move it away") == true)
            #expect(try Data(contentsOf: URL(filePath: path)) == bytes)
        }
    }

    @Test func whatCouldNotBeWrittenIsKnownAndSumsComeBack() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            try history.record(report("n1", 60, jobs: [job(1, 60)]), receivedAt: t0 + .seconds(60))
            try history.flush()
            try history.write { try $0.execute(sql: "PRAGMA max_page_count = 1") }
            let error = #expect(throws: HistoryError.self) {
                for node in 0..<500 { try history.record(report("m\(node)", 60), receivedAt: t0 + .seconds(60)) }
                try history.record(report("n1", 120, jobs: [job(1, 120)]), receivedAt: t0 + .seconds(120))
                try history.flush()
            }
            #expect(error?.kind == .full)
            try history.write { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
            try history.record(
                CapacityReport.Loss(since: t0, until: t0 + .seconds(120), writes: 7, reason: "no room"))
            // The same report again, as the next one would be: all sums are there.
            try history.record(report("n1", 120, jobs: [job(1, 120)]), receivedAt: t0 + .seconds(180))
            try history.flush()
            let after = try history.capacityReport(query())
            #expect(after.nodes.first { $0.node == NodeName("n1") }?.use.usedCoreSeconds == 240)
            #expect(after.jobTotal.usedCoreSeconds == 240 && after.losses.map(\.writes) == [7])
        }
    }

    @Test func aCopyMadeWhileItIsWrittenIsAHistory() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            try history.record(report("n1", 60), receivedAt: t0 + .seconds(60))
            try history.flush()
            let copy = folder + "/copy.sqlite"
            try history.database.writeWithoutTransaction { try $0.execute(sql: "VACUUM INTO ?", arguments: [copy]) }
            try history.record(report("n1", 120), receivedAt: t0 + .seconds(120))
            #expect(try History(path: copy).capacityReport(query()).total?.usedCoreSeconds == 120)
        }
    }
}
