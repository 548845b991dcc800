import FallowLocal
import Foundation
import Glibc
import Synchronization
import Testing

@Suite("event loop") struct EventLoopTests {
    @Test func timersRunInOrderOfTheirDeadlines() throws {
        let loop = try EventLoop()
        var order: [Int] = []
        for (number, milliseconds) in [(3, 30), (1, 1), (2, 15), (4, 45)] {
            loop.after(.milliseconds(milliseconds)) { order.append(number) }
        }
        let cancelled = loop.after(.milliseconds(20)) { order.append(99) }
        loop.after(.milliseconds(2)) { loop.cancel(cancelled) }
        loop.after(.milliseconds(60)) { loop.stop() }
        run(loop)
        #expect(order == [1, 2, 3, 4])
    }

    @Test func timersKeepTheirTime() throws {
        let loop = try EventLoop()
        let clock = ContinuousClock()
        let start = clock.now
        var elapsed = Duration.zero
        loop.after(.milliseconds(25)) {
            elapsed = clock.now - start
            loop.stop()
        }
        run(loop)
        #expect(elapsed >= .milliseconds(25) && elapsed < .milliseconds(500))
    }

    @Test func aRepeatingTimerMayCancelItself() throws {
        let loop = try EventLoop()
        var count = 0
        var token: EventLoop.Token?
        token = loop.after(.milliseconds(1), repeating: .milliseconds(2)) {
            count += 1
            if count == 5 { loop.cancel(token!) }
        }
        loop.after(.milliseconds(80)) { loop.stop() }
        run(loop)
        #expect(count == 5)
    }

    @Test func aLateRepeatingTimerDoesNotCatchUp() throws {
        let loop = try EventLoop()
        var count = 0
        loop.after(.milliseconds(1), repeating: .milliseconds(1)) {
            count += 1
            if count == 1 { usleep(50_000) }
        }
        loop.after(.milliseconds(60)) { loop.stop() }
        run(loop)
        #expect(count >= 2 && count < 30)
    }

    @Test func aHandlerThatSchedulesAtOnceDoesNotStarveOthers() throws {
        let loop = try EventLoop()
        func again() { loop.after(.zero) { again() } }
        again()
        loop.after(.milliseconds(10)) { loop.stop() }
        run(loop)
    }

    @Test func manyCancelledTimersAreForgotten() throws {
        let loop = try EventLoop()
        for _ in 0..<100_000 { loop.cancel(loop.after(.seconds(3600)) { Issue.record("cancelled") }) }
        loop.after(.milliseconds(5)) { loop.stop() }
        run(loop)
    }

    @Test func theQueueGivesTimersByDeadlineAndForgetsCancelledOnes() {
        var queue = TimerQueue()
        for number in 0..<1000 {
            // 7 and 1000 have no common factor: every deadline once, in a scrambled order.
            queue.insert(
                .init(token: UInt64(number), deadline: Int64(number * 7 % 1000), period: nil, handler: {}))
        }
        for number in 0..<1000 where number % 4 != 0 { queue.cancel(UInt64(number)) }
        var expected: [Int64] = []
        for number in stride(from: 0, to: 1000, by: 4) { expected.append(Int64(number * 7 % 1000)) }
        expected.sort()
        #expect(queue.nextDeadline == expected[0])
        let early = queue.takeDue(at: 499).map(\.deadline)
        #expect(early == expected.filter { $0 <= 499 })
        let late = queue.takeDue(at: .max).map(\.deadline)
        #expect(late == expected.filter { $0 > 499 })
        #expect(queue.nextDeadline == nil)
    }

    @Test func handlersMayCancelEachOtherDuringDispatch() throws {
        let loop = try EventLoop()
        // Both are readable in the same round; whoever runs first cancels the other and itself.
        let pairs = try (0..<2).map { _ in try LocalConnection.pair(type: .stream) }
        var tokens: [EventLoop.Token] = []
        var calls = 0
        for (near, far) in pairs {
            _ = try far.send([1])
            tokens.append(
                try loop.watch(near.descriptor, .readable) { _ in
                    calls += 1
                    for token in tokens { loop.cancel(token) }
                })
        }
        loop.after(.milliseconds(20)) { loop.stop() }
        run(loop)
        #expect(calls == 1)
        for token in tokens { loop.cancel(token) }
    }

    @Test func aTokenIsNotConfusedWithALaterWatchOfTheSameDescriptor() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        let old = try loop.watch(near.descriptor, .readable) { _ in Issue.record("cancelled") }
        loop.cancel(old)
        var count = 0
        _ = try loop.watch(near.descriptor, .readable) { events in
            #expect(events == .readable)
            count += 1
            loop.stop()
        }
        loop.cancel(old)
        try loop.change(old, .writable)
        _ = try far.send([1])
        run(loop)
        #expect(count == 1)
    }

    @Test func interestCanChange() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        var seen: [EventLoop.Events] = []
        var token: EventLoop.Token?
        token = try loop.watch(near.descriptor, .writable) { events in
            seen.append(events)
            if events == .writable {
                try? loop.change(token!, .readable)
                far.close()
            } else {
                loop.stop()
            }
        }
        run(loop)
        #expect(seen.first == .writable)
        #expect(seen.count == 2 && seen[1].contains(.readable) && seen[1].contains(.hangup))
    }

    @Test func aBadDescriptorIsAnError() throws {
        let loop = try EventLoop()
        let error = #expect(throws: LocalError.self) { try loop.watch(-1, .readable) { _ in } }
        #expect(error?.sentence == "cannot watch descriptor -1" && error?.errorNumber == EBADF)
    }

    @Test func postedWorkRunsInOrderOnTheLoopsThread() throws {
        let loop = try EventLoop()
        let order = Mutex<[Int]>([])
        let refused = Mutex(0)
        // A thread of its own: the pool's may all be blocked in tests.
        Thread.detachNewThread {
            for number in 0..<1000 where !loop.post({ order.withLock { $0.append(number) } }) {
                refused.withLock { $0 += 1 }
            }
            loop.stop()
        }
        run(loop)
        #expect(refused.withLock { $0 } == 0)
        #expect(order.withLock { $0 } == Array(0..<1000))
        #expect(loop.post {} == false)
    }

    @Test func theQueueOfPostedWorkIsBounded() throws {
        let loop = try EventLoop()
        for _ in 0..<EventLoop.postedLimit { #expect(loop.post {}) }
        #expect(!loop.post {})
        loop.stop()
        run(loop)
    }

    @Test func aLoopFreesItsDescriptors() throws {
        let before = openDescriptorCount()
        for _ in 0..<100 { _ = try EventLoop() }
        #expect(openDescriptorCount() < before + 150)
    }
}

@Suite("process handle") struct ProcessHandleTests {
    private func start(_ script: String) throws -> ProcessHandle {
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sh"), strdup("-c"), strdup(script), nil]
        defer { for argument in arguments { free(argument) } }
        try #require(posix_spawn(&pid, "/bin/sh", nil, nil, &arguments, nil) == 0)
        let probe = try ProcessHandle(process: pid)
        // Not after the probe's last use: it closes its descriptor then.
        let descriptor = withExtendedLifetime(probe) { fcntl(probe.descriptor, F_DUPFD_CLOEXEC, 3) }
        return ProcessHandle(child: pid, descriptor: descriptor)
    }

    @Test func exitIsNoticedInALoop() throws {
        let loop = try EventLoop()
        let process = try start("sleep 0.05; exit 3")
        var exits: [ProcessExit] = []
        try process.watch(in: loop) { exit in
            exits.append(exit)
            loop.stop()
        }
        run(loop)
        #expect(exits == [.exited(code: 3)])
        #expect(process.checkExit() == .exited(code: 3))
    }

    @Test func withoutAPidfdTheLoopLooksNowAndThen() throws {
        let loop = try EventLoop()
        let process = ProcessHandle(child: try start("exit 5").pid, descriptor: -1)
        var exits: [ProcessExit] = []
        try process.watch(in: loop) { exit in
            exits.append(exit)
            loop.after(.milliseconds(60)) { loop.stop() }
        }
        run(loop)
        #expect(exits == [.exited(code: 5)])
    }

    @Test func signalsAndWaits() throws {
        let process = try start("exec sleep 100")
        #expect(process.checkExit() == nil)
        #expect(process.wait(timeout: .milliseconds(20)) == nil)
        process.signal(SIGKILL)  // the one that this thread's mask, inherited by the child, cannot block
        #expect(process.wait(timeout: .seconds(5)) == .signaled(number: SIGKILL))
        process.signal(SIGKILL)  // harmless now
    }

    @Test func anotherProcessIsOnlyWatched() throws {
        let child = try start("exec sleep 100")
        let other = try ProcessHandle(process: child.pid)
        #expect(other.checkExit() == nil)
        child.signal(SIGKILL)
        #expect(other.wait(timeout: .seconds(5)) == .exited(code: -1))
        #expect(child.wait(timeout: .seconds(5)) == .signaled(number: SIGKILL))
        let error = #expect(throws: LocalError.self) { try ProcessHandle(process: child.pid) }
        #expect(error?.code == .notListening)
    }
}
