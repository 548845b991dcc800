import FallowModel
import FallowWire
import Foundation
import GRDB
import Testing

@testable import FallowHistory

private let t0 = Timestamp(nanosecondsSinceEpoch: 1_700_000_040_000_000_000)

private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = "/tmp/fallow-history.\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}

private func report(
    _ seconds: Double, instance: UInt64 = .max, used: Double, jobs: [JobReport] = [], reclaims: [ReclaimReport] = []
) -> NodeReport {
    NodeReport(
        node: NodeName("n1"), agentURL: "http://n1:1", version: "1", instance: instance, sequence: 1,
        at: t0 + .seconds(seconds), instanceStartedAt: t0, cores: 8, memory: .gibibytes(16), offer: Offer(),
        withheldReason: nil, switches: LendingSwitches(),
        integrals: NodeIntegrals(elapsedSeconds: seconds, usedCoreSeconds: used), jobs: jobs, leases: [], ended: [],
        reclaims: reclaims)
}

private func capacity(_ history: History, _ from: Double, _ to: Double) throws -> CapacityReport {
    try history.flush()
    return try history.capacityReport(ReportQuery(since: t0 + .seconds(from), until: t0 + .seconds(to)))
}

private func lease(_ id: UInt64, user: UInt32 = 1001) -> LedgerLease {
    LedgerLease(
        leaseID: LeaseID(id), requestID: .max - id, user: UserID(user), node: NodeName("n1"),
        clientNode: NodeName("n2"), cpus: 2, memory: .gibibytes(1), libraryName: "f.so", grantedAt: t0,
        termEnds: t0 + .seconds(60), startedAt: nil)
}

@Suite struct HistoryTests {
    @Test func integralsAreDifferencesOfSamples() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/a/h.sqlite")
            for minute in 0...10 {
                let seconds = Double(minute * 60)
                try history.record(report(seconds, used: seconds * 2), receivedAt: t0 + .seconds(seconds))
            }
            // Repeated and lost reports cost nothing.
            try history.record(report(600, used: 1200), receivedAt: t0 + .seconds(601))
            let all = try capacity(history, -1, 700)
            #expect(all.nodes.map(\.use.usedCoreSeconds) == [1200])
            let part = try capacity(history, 300, 480)
            #expect(part.nodes.map(\.use.usedCoreSeconds) == [360])
            #expect(part.nodes.map(\.cores) == [8])
            // The agent restarts: its new run counts from nothing.
            try history.record(report(30, instance: 7, used: 50), receivedAt: t0 + .seconds(660))
            let both = try capacity(history, -1, 700)
            #expect(both.nodes.map(\.use.usedCoreSeconds) == [1250])
        }
    }

    @Test func jobsAndReclaims() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            var job = JobReport(
                jobID: JobID(5), user: UserID(1001), cores: AbstractCoreSet(0...3), memory: .gibibytes(2),
                serverless: "auto", firstSeenAt: t0, measured: true, usedCoreSeconds: 12)
            let reclaims = (1...100).map {
                ReclaimReport(
                    at: t0 + .milliseconds($0), jobID: JobID(5), stepID: StepID(0), leases: [], vacateMicroseconds: $0,
                    stuckProcesses: 0)
            }
            try history.record(report(1, used: 1, jobs: [job], reclaims: reclaims), receivedAt: t0 + .seconds(1))
            job.endedAt = t0 + .seconds(2)
            job.usedCoreSeconds = 20
            try history.record(report(2, used: 1, jobs: [job], reclaims: reclaims), receivedAt: t0 + .seconds(2))
            #expect(try history.endedJobs(user: nil).map(\.job) == [job])
            let found = try capacity(history, 0, 9)
            #expect(found.jobs.map(\.facts.jobID) == [JobID(5)] && found.jobTotal.usedCoreSeconds == 20)
            // Repeated reports count once; quantiles are those of buckets that grow by a tenth.
            let counted = try #require(found.reclaims)
            #expect(counted.count == 100 && counted.late == 0)
            #expect(abs(counted.medianMicroseconds - 50) < 3 && abs(counted.p99Microseconds - 99) < 6)
            #expect(try history.endedJobs(user: UserID(1001)).count == 1)
            #expect(try history.endedJobs(user: UserID(1002)).isEmpty)
            var query = ReportQuery(since: t0, until: t0 + .seconds(9))
            query.viewer = UserID(2)
            let others = try history.capacityReport(query)
            #expect(others.jobs.isEmpty && others.jobTotal == .init() && others.total != nil)
            query.user = UserID(1001)
            #expect(try history.capacityReport(query).jobs.isEmpty)
        }
    }

    @Test func theLedgerKeepsTheFirstWordOnAnEnd() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            try history.recordLease(lease(1))
            try history.recordLease(lease(2, user: 1002))
            var started = lease(1)
            started.startedAt = t0 + .seconds(1)
            started.termEnds = t0 + .seconds(90)
            try history.recordLease(started)
            #expect(try history.openLeases().first { $0.leaseID == LeaseID(1) } == started)
            try history.recordEnd(
                of: LeaseID(1), at: t0 + .seconds(3), reason: .reclaimed, detail: "a job", report: nil)
            try history.recordEnd(of: LeaseID(1), at: t0 + .seconds(4), reason: .agentGone, detail: nil, report: nil)
            #expect(try history.openLeases().map(\.leaseID) == [LeaseID(2)])
            let ended = try history.endedLeases(user: nil)
            #expect(ended.map(\.reason) == [.reclaimed] && ended.first?.detail == "a job")
            #expect(try history.endedLeases(user: UserID(1002)).isEmpty)
            let counted = try capacity(history, 0, 9)
            #expect(counted.leases.map(\.reason) == ["reclaimed"] && counted.leases.first?.coreSeconds == 4)
            #expect(counted.borrowers.map(\.user) == [UserID(1001)])
        }
    }

    @Test func switchesOfAllNodesAndOfOne() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            #expect(try history.switches() == SwitchTable())
            var table = SwitchTable()
            table.apply(SwitchChange(node: nil, unallocated: true))
            table.apply(SwitchChange(node: NodeName("n1"), unallocated: false, lent: false))
            table.apply(SwitchChange(node: NodeName("n1"), lent: true))
            try history.record(table)
            var again = try History(path: folder + "/h.sqlite").switches()
            #expect(again == table)
            #expect(again.switches(for: NodeName("n1")) == LendingOverride(unallocated: false, lent: true))
            #expect(again.switches(for: NodeName("n2")) == LendingOverride(unallocated: true))
            again.apply(SwitchChange(node: nil, unallocated: true))
            #expect(again.nodes == [NodeName("n1"): LendingOverride(lent: true)])
            again.apply(SwitchChange(node: nil, lent: false))
            #expect(again.nodes.isEmpty)
            #expect(
                LendingOverride(lent: false).applied(to: LendingSwitches(unallocated: true, lent: true)).unallocated)
        }
    }

    @Test func pruningKeepsEachLevelAsLongAsItShould() throws {
        try withFolder { folder in
            let history = try History(path: folder + "/h.sqlite")
            for minute in 0..<180 {
                let seconds = Double(minute * 60)
                try history.record(report(seconds, used: seconds), receivedAt: t0 + .seconds(seconds))
            }
            try history.flush()
            func rows(_ table: String) throws -> Int {
                try history.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM \(table)") ?? -1 }
            }
            try history.prune(now: t0 + .seconds(10_800))
            let (raw, minutes) = (try rows("usage_raw"), try rows("usage_minutes"))
            #expect(try raw == 19 && minutes == 4 && rows("usage_hours") == 2)
            // Coarser levels give the same sums as finer ones.
            for (day, left) in [(3, (0, minutes, 2)), (40, (0, 0, 2))] {
                let before = try capacity(history, 1_800, 9_000).total?.usedCoreSeconds
                try history.prune(now: t0 + .seconds(day * 86_400))
                #expect(try rows("usage_raw") == left.0 && rows("usage_minutes") == left.1)
                #expect(try rows("usage_hours") == left.2)
                #expect(before == 7_200)
            }
            // Without minutes, the edges count by their share of the hour.
            #expect(abs((try capacity(history, 1_800, 9_000).total?.usedCoreSeconds ?? 0) - 7_200) < 800)
            try history.prune(now: t0 + .seconds(1_200 * 86_400))
            #expect(try rows("usage_hours") == 0)
        }
    }

    @Test func filesThatAreNotOursStayAndAreNamed() throws {
        try withFolder { folder in
            let path = folder + "/h.sqlite"
            let garbage = Data((0..<10_000).map { _ in UInt8.random(in: .min ... .max) })
            try garbage.write(to: URL(filePath: path))
            let corrupt = #expect(throws: HistoryError.self) { try History(path: path) }
            #expect(corrupt?.kind == .corrupt && corrupt?.description.contains(path) == true)
            #expect(try Data(contentsOf: URL(filePath: path)) == garbage)

            let newer = folder + "/newer.sqlite"
            _ = try History(path: newer)
            try DatabaseQueue(path: newer).write {
                try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99: of the future')")
            }
            #expect(#expect(throws: HistoryError.self) { try History(path: newer) }?.kind == .newer)

            let folderAsFile = #expect(throws: HistoryError.self) { try History(path: "/proc/nowhere/h.sqlite") }
            #expect(folderAsFile?.kind == .readOnly)
        }
    }

    @Test func aFullDiskIsAnErrorAndNothingIsLost() throws {
        try withFolder { folder in
            let path = folder + "/h.sqlite"
            let history = try History(path: path)
            try history.recordLease(lease(1))
            try history.write { try $0.execute(sql: "PRAGMA max_page_count = 1") }
            let error = #expect(throws: HistoryError.self) {
                for id in 2..<2000 as Range<UInt64> { try history.recordLease(lease(id)) }
            }
            #expect(error?.kind == .full)
            try history.write { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
            try history.recordLease(lease(5000))
            #expect(try history.openLeases().contains { $0.leaseID == LeaseID(1) })
            #expect(try history.openLeases().contains { $0.leaseID == LeaseID(5000) })
        }
    }
}
