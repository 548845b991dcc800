internal import Glibc

/// One invocation under way. Thread-safe. One that is forgotten before it is done leaves its caller's memory alone.
public final class Future: Sendable {
    let call: Call
    let lease: Lease

    init(_ call: Call, lease: Lease) {
        self.call = call
        self.lease = lease
    }

    deinit { if !call.isDone { call.worker.abandon(call) } }

    /// Whether the outcome is known here; does not look for news.
    public var isDone: Bool { call.isDone }

    /// Waits for the outcome, at most for the time-out (nil: the rest of the term).
    /// - Throws: `.timedOut` when it is not done yet: wait again. Else what became of the call, see `Lease.invoke`.
    public func result(timeout: Duration? = nil) throws(FallowError) -> InvocationResult {
        try ForkGuard.check()
        guard call.isDone || lease.wait(for: call, until: Deadline(timeout: timeout, lease: lease)) else {
            throw FallowError(.timedOut, "no answer came in time; the function may still run")
        }
        return try call.outcome.get()
    }

    /// `result` with a copy of the result's bytes, whoever's memory they are in.
    public func wait(timeout: Duration? = nil) throws(FallowError) -> Lease.Reply {
        let result = try result(timeout: timeout)
        let output = [UInt8](UnsafeRawBufferPointer(start: call.output, count: result.byteCount))
        return Lease.Reply(output: output, returnValue: result.returnValue)
    }

    /// Waits until one of the futures is done; they may belong to different leases.
    /// - Returns: its index.
    /// - Throws: `.timedOut`; `.invalid` when there is no future.
    public static func waitAny(_ futures: [Future], timeout: Duration) throws(FallowError) -> Int {
        guard !futures.isEmpty else { throw FallowError(.invalid, "there is no future to wait for") }
        return try wait(for: futures, timeout: timeout) { futures in futures.firstIndex { $0.isDone } }
    }

    /// Waits until all are done. What became of each, it says itself.
    /// - Throws: `.timedOut`.
    public static func waitAll(_ futures: [Future], timeout: Duration) throws(FallowError) {
        _ = try wait(for: futures, timeout: timeout) { futures in futures.allSatisfy(\.isDone) ? 0 : nil }
    }

    private static func wait(
        for futures: [Future], timeout: Duration, until found: ([Future]) -> Int?
    ) throws(FallowError) -> Int {
        try ForkGuard.check()
        let deadline = Deadline(after: timeout)
        if futures.count == 1 {
            _ = futures[0].lease.wait(for: futures[0].call, until: deadline)
        }
        let pollEnd = min(monotonicNanoseconds() + WaitPolicy.pollNanoseconds, deadline.nanoseconds)
        var backoff = Backoff()
        while true {
            if let index = found(futures) { return index }
            for future in futures where !future.isDone { _ = future.call.worker.progress(until: future.call, polls: 1) }
            if let index = found(futures) { return index }
            let now = monotonicNanoseconds()
            if now < pollEnd { continue }
            guard now < deadline.nanoseconds else {
                let missing = futures.count { !$0.isDone }
                throw FallowError(.timedOut, "\(missing) of \(futures.count) calls were not answered in time")
            }
            for future in futures { future.lease.client.agent.pumpIfDue(now: now) }
            backoff.pause(until: deadline.nanoseconds)
        }
    }
}
