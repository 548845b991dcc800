import FallowModel
import FallowWire
import Foundation
import Logging
import Testing

@testable import FallowController
@testable import FallowHistory

@Suite struct LedgerTests {
    @Test func aFullDiskIsShownAndWhatWasLostIsWrittenDown() async throws {
        let folder = "/tmp/fallow-ledger.\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let history = try History(path: folder + "/h.sqlite")
        let ledger = Ledger(history: history, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let now = Timestamp.now
        @Sendable func lease(_ id: UInt64) -> LedgerLease {
            LedgerLease(
                leaseID: LeaseID(id), requestID: id, user: UserID(1), node: NodeName("n"), clientNode: NodeName("n"),
                cpus: 1, memory: .gibibytes(1), libraryName: String(repeating: "x", count: 900), grantedAt: now,
                termEnds: now, startedAt: nil)
        }
        ledger.write { try $0.recordLease(lease(1)) }
        await ledger.settle()
        #expect(ledger.problem == nil && ledger.lost == 0)
        try history.write { try $0.execute(sql: "PRAGMA max_page_count = 1") }
        for id in 2...200 as ClosedRange<UInt64> { ledger.write { try $0.recordLease(lease(id)) } }
        await ledger.settle()
        let lost = ledger.lost
        #expect(lost > 100 && ledger.problem?.contains("no room") == true)
        // What touches no disk is no sign that it has room.
        ledger.write { $0.note(jobs: [], partitions: [:]) }
        ledger.flush()
        await ledger.settle()
        #expect(ledger.problem != nil)
        // It goes on as soon as there is room, and says what is missing.
        try history.write { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
        ledger.write { try $0.recordLease(lease(1000)) }
        await ledger.settle()
        #expect(ledger.problem == nil && ledger.lost == lost)
        let report = try history.capacityReport(ReportQuery(since: now, until: .now + .seconds(1)))
        #expect(report.losses.map(\.writes) == [lost] && report.losses.first?.reason.contains("no room") == true)
        #expect(try history.openLeases().count == 201 - lost)
    }
}
