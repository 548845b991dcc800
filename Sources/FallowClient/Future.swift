internal import Glibc

/// One invocation under way. Thread-safe. One that is forgotten before it is done leaves its caller's memory alone.
public final class Future: @unchecked Sendable {
    let call: CallPointer
    /// Where the result goes.
    private let place: UnsafeMutableRawPointer?
    private let ownsPlace: Bool

    /// - Parameter ownsPlace: whether the memory ends with this object.
    init(_ call: CallPointer, at place: UnsafeMutableRawPointer?, ownsPlace: Bool = false) {
        self.call = call
        self.place = place
        self.ownsPlace = ownsPlace
    }

    deinit {
        RawFuture.free(call)
        if ownsPlace { place?.deallocate() }
    }

    /// Whether the outcome is known here; does not look for news.
    public var isDone: Bool { call.pointee.isDone }

    /// Waits for the outcome, at most for the time-out (nil: the rest of the term).
    /// - Throws: `.timedOut` when it is not done yet: wait again. Else what became of the call, see `Lease.invoke`.
    public func result(timeout: Duration? = nil) throws(FallowError) -> InvocationResult {
        try RawFuture.wait(call, Patience(timeout))
    }

    /// `result` with a copy of the result's bytes, whoever's memory they are in.
    public func wait(timeout: Duration? = nil) throws(FallowError) -> Lease.Reply {
        let told = try result(timeout: timeout)
        let output = [UInt8](UnsafeRawBufferPointer(start: place, count: told.byteCount))
        return Lease.Reply(output: output, returnValue: told.returnValue)
    }

    /// Waits until one of the futures is done; they may belong to different leases.
    /// - Returns: its index.
    /// - Throws: `.timedOut`; `.invalid` when there is no future.
    public static func waitAny(_ futures: [Future], timeout: Duration) throws(FallowError) -> Int {
        guard !futures.isEmpty else { throw FallowError(.invalid, "there is no future to wait for") }
        let calls = futures.map(\.call)
        return try withExtendedLifetime(futures) { () throws(FallowError) in
            try RawFuture.waitAny(calls, Deadline(after: timeout))
        }
    }

    /// Waits until all are done. What became of each, it says itself.
    /// - Throws: `.timedOut`.
    public static func waitAll(_ futures: [Future], timeout: Duration) throws(FallowError) {
        let calls = futures.map(\.call)
        try withExtendedLifetime(futures) { () throws(FallowError) in
            try RawFuture.waitAll(calls, Deadline(after: timeout))
        }
    }
}

/// Futures as C has them: the call's record itself.
package enum RawFuture {
    /// - Parameter isInBuffers: whether input and output lie in buffers of the lease.
    package static func submit(
        _ lease: Lease, _ function: UnsafeRawBufferPointer, _ input: UnsafeRawBufferPointer,
        _ output: UnsafeMutableRawBufferPointer, isInBuffers: Bool
    ) throws(FallowError) -> OpaquePointer {
        OpaquePointer(
            try lease.begin(
                CallRequest(
                    function: function, input: input, output: output.baseAddress, capacityBytes: output.count,
                    isInBuffers: isInBuffers)))
    }

    /// - Parameter seconds: only looks when 0, the rest of the term when negative.
    package static func wait(_ future: OpaquePointer, seconds: Double) throws(FallowError) -> InvocationResult {
        guard !seconds.isNaN else { throw FallowError(.invalid, "timeout_seconds is not a number") }
        return try wait(
            CallPointer(future),
            seconds < 0 ? Patience(nil) : seconds == 0 ? Patience(.zero) : Patience(seconds: seconds))
    }

    package static func waitAny(_ futures: [OpaquePointer], timeout: Duration) throws(FallowError) -> Int {
        try waitAny(futures.map { CallPointer($0) }, Deadline(after: timeout))
    }

    package static func waitAll(_ futures: [OpaquePointer], timeout: Duration) throws(FallowError) {
        try waitAll(futures.map { CallPointer($0) }, Deadline(after: timeout))
    }

    package static func free(_ future: OpaquePointer) { free(CallPointer(future)) }

    static func free(_ call: CallPointer) {
        if !call.pointee.isDone { call.pointee.worker?._withUnsafeGuaranteedRef { $0.abandon(call) } }
        guard let lease = call.pointee.lease else { return }
        lease._withUnsafeGuaranteedRef { $0.pool.giveBack(call) }
        lease.release()
    }

    static func wait(_ call: CallPointer, _ patience: Patience) throws(FallowError) -> InvocationResult {
        try ForkGuard.check()
        guard let lease = call.pointee.lease?.takeUnretainedValue() else {
            throw FallowError(.invalid, "the future was freed")
        }
        if !call.pointee.isDone, !lease.wait(for: call, until: Deadline(patience, lease: lease)) {
            throw FallowError(.timedOut, "no answer came in time; the function may still run")
        }
        return try lease.result(of: call)
    }

    static func waitAll(_ calls: [CallPointer], _ deadline: Deadline) throws(FallowError) {
        try ForkGuard.check()
        for call in calls where !call.pointee.isDone {
            if call.pointee.lease?._withUnsafeGuaranteedRef({ $0.wait(for: call, until: deadline) }) != true {
                let missing = calls.count { !$0.pointee.isDone }
                guard missing > 0 else { return }
                throw FallowError(.timedOut, "\(missing) of \(calls.count) calls were not answered in time")
            }
        }
    }

    static func waitAny(_ calls: [CallPointer], _ deadline: Deadline) throws(FallowError) -> Int {
        try ForkGuard.check()
        guard let index = AnyWait(calls: calls, deadline: deadline).result() else {
            throw FallowError(.timedOut, "\(calls.count) of \(calls.count) calls were not answered in time")
        }
        return index
    }
}
