import FallowModel
import FallowReporting
import FallowWire
import Foundation
import Testing

@testable import FallowHistory

private let t0 = Timestamp(nanosecondsSinceEpoch: 1_700_006_400_000_000_000)

private func withHistory(_ body: (History) throws -> Void) throws {
    let folder = "/tmp/fallow-series.\(UInt64.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(try History(path: folder + "/h.sqlite"))
}

private func report(_ node: String, _ seconds: Double, used: Double, lent: Double = 0) -> NodeReport {
    NodeReport(
        node: NodeName(node), agentURL: "http://n:1", version: "1", instance: 1, sequence: UInt64(seconds) + 1,
        at: t0 + .seconds(seconds), instanceStartedAt: t0, cores: 8, memory: .gibibytes(16), offer: Offer(),
        withheldReason: nil, switches: LendingSwitches(),
        integrals: NodeIntegrals(
            elapsedSeconds: seconds, allocatedCoreSeconds: used * 2, usedCoreSeconds: used, lentCoreSeconds: lent,
            recoveredCoreSeconds: lent / 2), jobs: [], leases: [], ended: [], reclaims: [])
}

@Suite struct SeriesTests {
    @Test func stepsAddUpToTheReport() throws {
        try withHistory { history in
            for minute in 0...120 {
                let seconds = Double(minute * 60)
                // Twice as busy in the second hour.
                let used = minute <= 60 ? seconds : 3600 + (seconds - 3600) * 2
                for node in ["n10", "n2"] {
                    try history.record(
                        report(node, seconds, used: used, lent: seconds), receivedAt: t0 + .seconds(seconds))
                }
            }
            try history.flush()
            let query = ReportQuery(since: t0, until: t0 + .seconds(7200))
            let total = try #require(try history.capacityReport(query).total)
            for step in [300, 900, 3600] as [Int64] {
                let series = try history.capacitySeries(query, stepSeconds: step, rowLimit: 10)
                #expect(series.steps.count == Int(7200 / step) && series.since == t0)
                #expect(abs(series.steps.reduce(0) { $0 + $1.usedCoreSeconds } - total.usedCoreSeconds) < 0.01)
                #expect(abs(series.steps.reduce(0) { $0 + $1.coreSeconds } - total.coreSeconds) < 0.01)
                #expect(series.steps.reduce(0) { $0 + $1.unwatchedCoreSeconds } < 0.01)
                let half = series.steps.count / 2
                for (index, use) in series.steps.enumerated() {
                    let busy = Double(step) * (index < half ? 2 : 4)
                    #expect(abs(use.usedCoreSeconds - busy) < 0.1 && abs(use.unusedCoreSeconds - busy) < 0.1)
                    #expect(abs(use.recoveredCoreSeconds - Double(step)) < 0.1)
                }
                #expect(series.rows.map(\.first.text) == ["n2", "n10"])
                #expect(
                    series.rows[0].steps.map { $0.coreSeconds(.lent) }
                        == series.rows[1].steps.map { $0.coreSeconds(.lent) })
            }
        }
    }

    @Test func neighboursShareRowsAndWhatNobodyWatchedIsSaid() throws {
        try withHistory { history in
            for node in 1...7 {
                try history.record(report("n\(node)", 600, used: 60), receivedAt: t0 + .seconds(600))
            }
            try history.flush()
            let query = ReportQuery(since: t0 + .seconds(-900), until: t0 + .seconds(1800))
            let series = try history.capacitySeries(query, stepSeconds: 900, rowLimit: 3)
            #expect(series.rows.map { "\($0.first)-\($0.last) \($0.nodeCount)" } == ["n1-n3 3", "n4-n6 3", "n7-n7 1"])
            #expect(series.steps.count == 3)
            // Before the first report nothing is known of; after the last, nobody watches.
            #expect(series.steps[0] == CapacityUse())
            #expect(
                series.steps[1].coreSeconds == 7 * 8 * 900
                    && abs(series.steps[1].unwatchedCoreSeconds - 7 * 8 * 300) < 1)
            #expect(series.steps[2].unwatchedCoreSeconds == 7 * 8 * 900)
            let none = try history.capacitySeries(
                ReportQuery(since: t0, until: t0), stepSeconds: 900, rowLimit: 3)
            #expect(none.steps.isEmpty)
        }
    }
}
