import CFallow
import FallowClient
import FallowTestSupport
import Foundation
import Testing

/// What a lease's workers poll between calls is for the lease to say, within the site's limit.
@Suite(.serialized) struct PollingTests {
    @Test(arguments: [nil, .zero, .milliseconds(1), .seconds(1)] as [Duration?])
    func theAgentIsToldWhatIsWished(_ polling: Duration?) throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        var options = LeaseOptions()
        options.polling = polling
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        _ = try client.lease(library: TestLibrary.path("plain"), options)
        let told = try #require(agent.seen.first { $0.kind == .lease }?.lease)
        #expect(told.pollSeconds == polling.map { $0 / .seconds(1) })
        // The site allows 200 us.
        #expect(told.pollMicroseconds(allowed: 200) == (polling == .zero ? 0 : 200))
        #expect(told.pollMicroseconds(allowed: 2_000_000) == (polling.map { Int($0 / .microseconds(1)) } ?? 2_000_000))
    }

    @Test(arguments: [(0, nil), (-1, 0), (0.25, 0.25)] as [(Double, Double?)])
    func fromC(_ wish: Double, _ pollSeconds: Double?) throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        var client: OpaquePointer?
        var lease: OpaquePointer?
        try #require(fallow_connect(agent.socketPath, &client) == 0)
        defer { fallow_close(client) }
        var options = fallow_lease_options()
        options.size = UInt32(MemoryLayout<fallow_lease_options>.stride)
        options.poll_seconds = wish
        try #require(fallow_lease_open(client, TestLibrary.path("plain"), &options, &lease) == 0)
        defer { fallow_lease_close(lease) }
        let told = try #require(agent.seen.first { $0.kind == .lease }?.lease)
        #expect(told.pollSeconds == pollSeconds)
    }

    /// However busy the machine is: a worker that never polls goes to sleep after each call that comes alone.
    @Test func aLeaseThatNeverPollsSleepsBetweenCalls() throws {
        let agent = try PlayedAgent(pollMicroseconds: 1_000_000)
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = LeaseOptions()
        options.polling = .zero
        let lease = try client.lease(library: TestLibrary.path("plain"), options)
        let pid = try #require(agent.executorPIDs.first)
        let before = try sleeps(of: pid)
        for _ in 0..<200 {
            usleep(2000)
            _ = try lease.invoke("noop", [], timeout: .seconds(5))
        }
        #expect(try sleeps(of: pid) - before >= 180)
    }

    @Test func moreThanASecondIsRefused() throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = LeaseOptions()
        for wrong in [Duration.seconds(2), .milliseconds(-1)] {
            options.polling = wrong
            let error = #expect(throws: FallowError.self) {
                try client.lease(library: TestLibrary.path("plain"), options)
            }
            #expect(error?.code == .invalid)
            #expect(error?.message.contains("0 s to a second") == true)
        }
    }

    /// How often its threads have gone to sleep of their own accord.
    private func sleeps(of pid: pid_t) throws -> Int {
        var count = 0
        for task in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task") {
            let status = try String(contentsOfFile: "/proc/\(pid)/task/\(task)/status", encoding: .utf8)
            for line in status.split(separator: "\n") where line.hasPrefix("voluntary_ctxt_switches:") {
                count += try #require(line.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) })
            }
        }
        return count
    }
}
