import FallowClient
import FallowTestSupport
import Foundation
import Testing

/// What a lease's workers poll between calls is for the lease to say, within the site's limit.
@Suite(.serialized) struct PollingTests {
    @Test func aLeaseThatNeverPollsUsesLessTime() throws {
        // On a machine with much to do a worker that polls is preempted, and sleeps too: so there is another try.
        for round in 1...3 {
            let asAllowed = try cpuSeconds(polling: nil)
            let never = try cpuSeconds(polling: .zero)
            if asAllowed > 3 * never { return }
            try #require(round < 3, "with polling \(asAllowed) s, without \(never) s of CPU time")
        }
    }

    @Test func aLeaseCannotPollLongerThanTheSiteAllows() throws {
        for round in 1...3 {
            let asWished = try cpuSeconds(polling: .seconds(1), allowedMicroseconds: 0)
            let allowed = try cpuSeconds(polling: .seconds(1))
            if allowed > 3 * asWished { return }
            try #require(round < 3, "where the site allows it \(allowed) s, else \(asWished) s of CPU time")
        }
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

    /// CPU time of an executor with two workers over 300 calls, one each millisecond.
    private func cpuSeconds(polling: Duration?, allowedMicroseconds: Int = 1_000_000) throws -> Double {
        let agent = try PlayedAgent(pollMicroseconds: allowedMicroseconds)
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = LeaseOptions()
        options.cpus = 2
        options.polling = polling
        let lease = try client.lease(library: TestLibrary.path("plain"), options)
        let pid = try #require(agent.executorPIDs.first)
        let before = try cpuSeconds(of: pid)
        for _ in 0..<300 {
            usleep(1000)
            _ = try lease.invoke("noop", [], timeout: .seconds(5))
        }
        return try cpuSeconds(of: pid) - before
    }

    private func cpuSeconds(of pid: pid_t) throws -> Double {
        var clock = clockid_t()
        var used = timespec()
        try #require(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
        return Double(used.tv_sec) + Double(used.tv_nsec) / 1e9
    }
}
