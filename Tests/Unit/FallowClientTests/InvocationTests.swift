import FallowClient
import FallowTestSupport
import FallowWire
import Foundation
import Testing

/// Every call here goes through a real executor process and shared memory; only the agent is played.
@Suite(.serialized) struct InvocationTests {
    private let agent: PlayedAgent
    private let client: FallowClient

    init() throws {
        agent = try PlayedAgent()
        client = try FallowClient.connect(socketPath: agent.socketPath)
    }

    private func lease(_ library: String = "plain", _ change: (inout LeaseOptions) -> Void = { _ in }) throws -> Lease {
        var options = LeaseOptions()
        options.inputBytes = 1 << 16
        options.outputBytes = 1 << 16
        change(&options)
        return try client.lease(library: TestLibrary.path(library), options)
    }
    private func little(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }

    @Test func payloadsOfEverySizeComeBackByteForByte() throws {
        defer { agent.stop() }
        let lease = try lease {
            $0.inputBytes = 8 << 20
            $0.outputBytes = 8 << 20
            $0.slotCount = 2
        }
        var random = SystemRandomNumberGenerator()
        for size in [0, 1, 2, 7, 8, 63, 64, 65, 960, 961, 4095, 4096, 4097, 65_535, 65_536, 1 << 20, 8 << 20] {
            var payload = [UInt8](repeating: 0, count: size)
            payload.withUnsafeMutableBytes { bytes in
                for index in stride(from: 0, to: size & ~7, by: 8) {
                    bytes.storeBytes(of: random.next(), toByteOffset: index, as: UInt64.self)
                }
                if size > 0 { bytes[size - 1] = 0xa5 }
            }
            let echoed = try lease.invoke("echo", payload, timeout: .seconds(10))
            #expect(echoed.output == payload, "echo of \(size) bytes")
            let reversed = try lease.invoke("reverse", payload, timeout: .seconds(10))
            #expect(reversed.output == payload.reversed(), "reverse of \(size) bytes")
        }
    }

    @Test func bothKindsOfLibraryWork() throws {
        defer { agent.stop() }
        #expect(try lease("rfaas").invoke("echo", [9, 8, 7], timeout: .seconds(5)).output == [9, 8, 7])
        let sum = try lease("rfaas").invoke("sum", [UInt8](repeating: 255, count: 1000), timeout: .seconds(5)).output
        #expect(sum == withUnsafeBytes(of: UInt64(255_000).littleEndian, Array.init))
        let ours = try lease()
        #expect(try ours.invoke("returns", little(UInt32(bitPattern: -42)), timeout: .seconds(5)).returnValue == -42)
        #expect(try ours.invoke("alignment", [1], timeout: .seconds(5)).returnValue == 0)
    }

    /// 16-bit numbers of calls end at 65,536: rFaaS crashes there.
    @Test func twoHundredThousandCallsThroughOneWorker() throws {
        defer { agent.stop() }
        let lease = try lease { $0.slotCount = 4 }
        var output = UInt64(0)
        for index in 0..<UInt64(200_000) {
            let result = try "echo".utf8CString.withUnsafeBytes { name in
                try withUnsafeBytes(of: index) { input in
                    try withUnsafeMutableBytes(of: &output) { output in
                        try lease.invoke(
                            UnsafeRawBufferPointer(rebasing: name.dropLast()), input, into: output, timeout: .seconds(5)
                        )
                    }
                }
            }
            if result.byteCount != 8 || output != index {
                Issue.record("call \(index) gave \(output), \(result.byteCount) bytes")
                return
            }
        }
    }

    @Test func whatIsWrongIsSaid() throws {
        defer { agent.stop() }
        let lease = try lease()
        func failure(_ body: () throws -> some Any) -> FallowError? {
            do {
                _ = try body()
                return nil
            } catch { return error as? FallowError }
        }
        #expect(failure { try lease.invoke("missing", [], timeout: .seconds(5)) }?.code == .unknownFunction)
        #expect(failure { try lease.invoke("not_a_function", [], timeout: .seconds(5)) }?.code == .unknownFunction)
        #expect(failure { try lease.invoke("system", [], timeout: .seconds(5)) }?.code == .unknownFunction)
        #expect(failure { try lease.invoke("", [], timeout: .seconds(5)) }?.code == .invalid)
        #expect(failure { try lease.invoke("a\0b", [], timeout: .seconds(5)) }?.code == .invalid)
        let long = String(repeating: "n", count: 1025)
        #expect(failure { try lease.invoke(long, [], timeout: .seconds(5)) }?.code == .invalid)
        let oversize = failure { try lease.invoke("echo", [UInt8](repeating: 0, count: 65_537), timeout: .seconds(5)) }
        #expect(oversize?.code == .tooLarge)
        #expect(oversize?.message.contains("65537") == true && oversize?.message.contains("65536") == true)
        let small = failure {
            try lease.invoke("echo", [UInt8](repeating: 0, count: 500), outputBytes: 100, timeout: .seconds(5))
        }
        #expect(small?.code == .resultTooLarge && small?.bytesNeeded == 500)
        // The worker is none the worse for any of it.
        #expect(try lease.invoke("echo", [1], timeout: .seconds(5)).output == [1])
        let crash = try self.lease("crash")
        let more = failure { try crash.invoke("needs_more", [], timeout: .seconds(5)) }
        #expect(more?.code == .resultTooLarge && more?.bytesNeeded == 65_536 + 1000)
        #expect(failure { try crash.invoke("absurd_size", [], timeout: .seconds(5)) }?.code == .resultTooLarge)
    }

    @Test func aCallThatTimedOutKeepsItsSlotUntilItsReplyComes() throws {
        defer { agent.stop() }
        let lease = try lease { $0.slotCount = 2 }
        _ = try lease.invoke("nap", little(0), timeout: .seconds(5))
        var output = [UInt8](repeating: 7, count: 4)
        let started = ContinuousClock.now
        #expect(throws: FallowError.self) {
            try Array("nap".utf8).withUnsafeBytes { name in
                try little(400).withUnsafeBytes { input in
                    try output.withUnsafeMutableBytes { output in
                        try lease.invoke(name, input, into: output, timeout: .milliseconds(50))
                    }
                }
            }
        }
        #expect(ContinuousClock.now - started < .milliseconds(200))
        let second = try lease.submit("echo", [1])
        // One slot sleeps in quarantine, the other is taken.
        do {
            _ = try lease.submit("echo", [2])
            Issue.record("a third call found a slot")
        } catch { #expect(error.code == .full) }
        #expect(throws: FallowError.self) { try second.wait(timeout: .milliseconds(20)) }
        #expect(try second.wait(timeout: .seconds(5)).output == [1])
        #expect(output == [7, 7, 7, 7], "the late reply must not touch the caller's memory")
        for value in UInt8(0)..<10 {
            #expect(try lease.invoke("echo", [value], timeout: .seconds(5)).output == [value])
        }
    }

    @Test func severalThreadsShareALease() async throws {
        defer { agent.stop() }
        let lease = try lease {
            $0.cpus = 2
            $0.slotCount = 4
        }
        let wrong = await withTaskGroup(of: Int.self) { group in
            for thread in 0..<6 {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread {
                            var wrong = 0
                            for index in 0..<2000 {
                                let payload = withUnsafeBytes(of: thread << 32 | index, Array.init)
                                let reply = try? lease.invoke("echo", payload, timeout: .seconds(20))
                                if reply?.output != payload { wrong += 1 }
                            }
                            done.resume(returning: wrong)
                        }.start()
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(wrong == 0)
    }

    @Test func futuresAreWaitedForInAnyOrder() throws {
        defer { agent.stop() }
        let lease = try lease { $0.cpus = 2 }
        let slow = try lease.submit("nap", little(300))
        let fast = try lease.submit("nap", little(1))
        #expect(try Future.waitAny([slow, fast], timeout: .seconds(5)) == 1)
        #expect(!slow.isDone)
        try Future.waitAll([slow, fast], timeout: .seconds(5))
        #expect(try slow.wait().output == little(300))
        var futures: [Future] = []
        for index in UInt32(0)..<32 { futures.append(try lease.submit("echo", little(index))) }
        do {
            while true { futures.append(try lease.submit("nap", little(50))) }
        } catch { #expect(error.code == .full) }
        try Future.waitAll(futures, timeout: .seconds(20))
        for index in UInt32(0)..<32 { #expect(try futures[Int(index)].wait().output == little(index)) }
        #expect(throws: FallowError.self) { try Future.waitAny([], timeout: .seconds(1)) }
    }

    @Test(arguments: ["segfault", "aborts", "exits"])
    func aFunctionThatCrashesIsHeardOfAtOnce(function: String) throws {
        defer { agent.stop() }
        let lease = try lease("crash")
        #expect(throws: FallowError.self) { try lease.invoke("needs_more", [], timeout: .seconds(5)) }
        let started = ContinuousClock.now
        do {
            _ = try lease.invoke(function, [], timeout: .seconds(10))
            Issue.record("\(function) returned")
        } catch {
            #expect(error.code == .outcomeUnknown)
            #expect(error.message.contains("executor died"))
        }
        // Half a second is what Swift's backtracer alone would take.
        #expect(ContinuousClock.now - started < .milliseconds(500))
        do {
            _ = try lease.invoke("needs_more", [], timeout: .seconds(10))
            Issue.record("a dead executor answered")
        } catch { #expect(error.code == .leaseEnded) }
    }

    @Test func killedExecutorIsHeardOfByAllCallersWithinATenthOfASecond() async throws {
        defer { agent.stop() }
        let lease = try lease { $0.cpus = 2 }
        _ = try lease.invoke("nap", little(1), timeout: .seconds(5))
        let futures = try (0..<4).map { _ in try lease.submit("nap", little(20_000)) }
        let killed = Task.detached { [agent] in
            try await Task.sleep(for: .milliseconds(200))
            let moment = ContinuousClock.now
            for pid in agent.executorPIDs { kill(pid, SIGKILL) }
            return moment
        }
        let heard = await withTaskGroup(of: ContinuousClock.Instant.self) { group in
            for future in futures {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread {
                            do throws(FallowError) {
                                _ = try future.wait(timeout: .seconds(10))
                                Issue.record("a killed executor answered")
                            } catch { #expect(error.code == .outcomeUnknown || error.code == .notStarted) }
                            done.resume(returning: .now)
                        }.start()
                    }
                }
            }
            return await group.reduce(into: [ContinuousClock.Instant]()) { $0.append($1) }
        }
        let moment = try await killed.value
        for instant in heard { #expect(instant - moment < .milliseconds(100)) }
    }

    @Test func whatAWorkerHadNotBegunIsSafeToCallAgain() throws {
        defer { agent.stop() }
        let lease = try lease()
        _ = try lease.invoke("nap", little(1), timeout: .seconds(5))
        let answered = try lease.submit("nap", little(1))
        let futures = try (0..<3).map { _ in try lease.submit("nap", little(20_000)) }
        usleep(100_000)
        for pid in agent.executorPIDs { kill(pid, SIGKILL) }
        var codes: [FallowError.Code] = []
        for future in futures {
            do { _ = try future.wait(timeout: .seconds(5)) } catch { codes.append(error.code) }
        }
        #expect(codes == [.outcomeUnknown, .notStarted, .notStarted])
        #expect(try answered.wait(timeout: .seconds(1)).output == little(1), "what was answered before the end counts")
    }

    /// With the agent's word, and without: then its memory says it.
    @Test(arguments: [true, false]) func aRevokedLeaseSaysWhy(agentTells: Bool) throws {
        defer { agent.stop() }
        let lease = try lease()
        _ = try lease.invoke("nap", little(0), timeout: .seconds(5))
        let future = try lease.submit("nap", little(20_000))
        agent.revoke(.reclaimed, tells: agentTells)
        do {
            _ = try future.wait(timeout: .seconds(5))
            Issue.record("a revoked lease answered")
        } catch {
            #expect(error.code == .outcomeUnknown)
            #expect(error.message.contains("took the cores"))
        }
        #expect(lease.end == .reclaimed)
        do {
            _ = try lease.invoke("echo", [], timeout: .seconds(1))
            Issue.record("a revoked lease answered")
        } catch {
            #expect(error.code == .leaseEnded)
            #expect(error.message.contains("took the cores"))
        }
    }

    @Test func releaseGivesTheCapacityBackAndSettlesWhatWasInFlight() throws {
        defer { agent.stop() }
        let lease = try lease()
        let future = try lease.submit("nap", little(5000))
        try lease.release()
        #expect(throws: FallowError.self) { try future.wait(timeout: .seconds(1)) }
        #expect(agent.executorPIDs.isEmpty)
        try lease.release()
        #expect(lease.timeLeft == .zero)
    }

    @Test func aForgottenLeaseIsReleased() throws {
        defer { agent.stop() }
        do { _ = try lease().invoke("echo", [1], timeout: .seconds(5)) }
        for _ in 0..<200 where !agent.executorPIDs.isEmpty { usleep(10_000) }
        #expect(agent.executorPIDs.isEmpty)
        #expect(agent.seen.last?.kind == .release)
    }

    @Test func renewalMovesTheEnd() throws {
        defer { agent.stop() }
        let lease = try lease()
        _ = try lease.renew(term: .seconds(5000))
        #expect(lease.timeLeft > .seconds(4000))
        #expect(throws: FallowError.self) { try lease.renew(term: .zero) }
    }

    @Test func badLibrariesAreRefusedInWords() throws {
        defer { agent.stop() }
        func refusal(_ path: String) -> FallowError? {
            do {
                _ = try client.lease(library: path)
                return nil
            } catch { return error }
        }
        let text = "\(TestLibrary.folder)/text.so"
        try "int main;".write(toFile: text, atomically: true, encoding: .utf8)
        let cases: [(String, String)] = [
            ("/nonexistent.so", "cannot be opened"), ("/tmp", "not a file"), (text, "not a shared library"),
            (TestLibrary.path("wrong_version"), "version 4711"),
            (TestLibrary.path("unresolved"), "nobody_defines_this"),
            (TestLibrary.path("constructor"), "died"),
        ]
        for (path, words) in cases {
            let error = refusal(path)
            #expect(error?.code == .libraryUnusable, "\(path): \(error?.message ?? "was accepted")")
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "-")")
        }
    }

    @Test func badOptionsAreRefusedBeforeAnybodyIsAsked() {
        defer { agent.stop() }
        let changes: [(inout LeaseOptions) -> Void] = [
            { $0.cpus = 0 }, { $0.cpus = -1 }, { $0.memory = .zero }, { $0.slotCount = 3 }, { $0.slotCount = 4096 },
            { $0.inputBytes = -1 }, { $0.outputBytes = 2 << 30 }, { $0.wait = .seconds(-1) },
            { $0.term = .seconds(-1) },
        ]
        for change in changes {
            do {
                _ = try lease("plain", change)
                Issue.record("a bad option was accepted")
            } catch { #expect((error as? FallowError)?.code == .invalid) }
        }
        #expect(agent.seen.isEmpty)
    }
}
