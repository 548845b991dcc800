import FallowModel
import FallowWire
import Foundation
import TestProcesses
import Testing

@testable import FallowControl
@testable import FallowController
@testable import FallowReporting

@Suite(.serialized) struct MetricsTests {
    @Test func promtoolFindsNothingWrongAndNobodyIsNamed() async throws {
        let daemons = try await Daemons()
        defer { daemons.end() }
        let n1 = daemons.daemon("node-of-metrics")
        for sequence in 1...2 as ClosedRange<UInt64> {
            _ = try await n1.send(
                .post, daemons.base, "/v1/nodes/node-of-metrics/report",
                body: report("node-of-metrics", sequence: sequence, offer: 3), reply: NodeInstructions.self)
        }
        let granted = try await n1.send(
            .post, daemons.base, "/v1/leases", body: request(1, from: "node-of-metrics", user: UserID(4242)),
            reply: LeaseGranted.self)
        let url = daemons.base + "/metrics"
        let file = daemons.folder + "/metrics"
        let text = try await BlockingPool.shared.run(timeout: .seconds(20), "scrape") {
            try ChildProcess.output(of: ["/usr/bin/curl", "-s", "-f", "-m", "10", url])
        }
        try Data(text.utf8).write(to: URL(filePath: file))
        let said = try await BlockingPool.shared.run(timeout: .seconds(20), "promtool") {
            try ChildProcess.output(of: ["/bin/sh", "-c", "promtool check metrics <\(file) 2>&1; echo status $?"])
        }
        #expect(said.trimmingCharacters(in: .whitespacesAndNewlines) == "status 0", "\(said)")
        for line in [
            "fallow_agents{state=\"reporting\"} 1", "fallow_node_reports_total 2", "fallow_leases_granted_total 1",
            "fallow_offered_cores 2", "fallow_leases_ended_total{reason=\"reclaimed\"} 0", "fallow_history_up 1",
            "fallow_vacate_seconds_bucket{le=\"+Inf\"} 0",
        ] { #expect(text.contains("\n" + line + "\n"), "\(line)\n\(text)") }
        for name in ["4242", "node-of-metrics", granted.leaseID.description] { #expect(!text.contains(name)) }
        // As many lines however many nodes, users and leases there are.
        #expect(text.split(separator: "\n").count < 120)
    }

    @Test func sumsSurviveAKill() async throws {
        let daemons = try await Daemons()
        defer { daemons.end() }
        let n1 = daemons.daemon("n1")
        func send(_ sequence: UInt64, used: Double) async throws {
            var body = report("n1", sequence: sequence, offer: 3)
            body.integrals = NodeIntegrals(elapsedSeconds: used, usedCoreSeconds: used)
            _ = try await n1.send(.post, daemons.base, "/v1/nodes/n1/report", body: body, reply: NodeInstructions.self)
        }
        func used() async throws -> Double? {
            try await daemons.operatorClient.send(.get, daemons.base, "/v1/report", reply: CapacityReport.self).total?
                .usedCoreSeconds
        }
        try await send(1, used: 10)
        #expect(try await used() == 10)
        try await send(2, used: 20)
        _ = try await daemons.stopController(SIGKILL)
        try await daemons.startController()
        #expect(try await used() == 10)
        try await send(3, used: 21)
        #expect(try await used() == 21)
        let wrong = try await daemons.asNobody("GET", "/v1/report?job=x")
        #expect(wrong.status == 400 && wrong.body.contains("whole number"))
    }

    @Test func histogramsCountUpwards() {
        var distribution = Distribution(bounds: [1, 2])
        for value in [0.5, 1, 1.5, 7] { distribution.add(value) }
        var page = MetricsText()
        page.add("a_seconds", "Help.", [([("of", "a\"b\\")], distribution)])
        #expect(
            page.text == """
                # HELP a_seconds Help.
                # TYPE a_seconds histogram
                a_seconds_bucket{of="a\\"b\\\\",le="1"} 2
                a_seconds_bucket{of="a\\"b\\\\",le="2"} 3
                a_seconds_bucket{of="a\\"b\\\\",le="+Inf"} 4
                a_seconds_sum{of="a\\"b\\\\"} 10
                a_seconds_count{of="a\\"b\\\\"} 4

                """)
    }
}
