internal import FallowModel
internal import FallowWire
internal import Glibc
internal import Synchronization

extension Lease {
    /// What a function gave back, with its result.
    public struct Reply: Hashable, Sendable {
        public var output: [UInt8]
        /// What the function returned; 0 for rFaaS functions.
        public var returnValue: Int32
    }

    /// Invokes a function and waits for its result, which is written to `output`.
    ///
    /// Blocks at most for the time-out (nil: the rest of the term), waiting for a free slot included.
    /// - Throws: `.unknownFunction`, `.tooLarge`, `.resultTooLarge` (with `bytesNeeded`), `.timedOut`, `.leaseEnded`,
    ///   `.notStarted`, `.outcomeUnknown`, `.invalid`. After a time-out `output` is not touched any more.
    public func invoke(
        _ function: UnsafeRawBufferPointer, _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer, timeout: Duration? = nil
    ) throws(FallowError) -> InvocationResult {
        let deadline = Deadline(timeout: timeout, lease: self)
        let call = try start(
            function, input, output: output.baseAddress ?? Self.nowhere, capacityBytes: output.count, until: deadline)
        guard wait(for: call, until: deadline) else {
            call.worker.abandon(call)
            if !call.isDone { throw FallowError(.timedOut, "no answer came in time; the function may still run") }
            return try call.outcome.get()
        }
        return try call.outcome.get()
    }

    /// Invokes a function and waits for its result, as an array.
    /// - Parameter outputBytes: room for the result; nil is all that the lease allows.
    public func invoke(
        _ function: String, _ input: [UInt8], outputBytes: Int? = nil, timeout: Duration? = nil
    ) throws(FallowError) -> Reply {
        try submit(function, input, outputBytes: outputBytes, orWait: timeout).wait(timeout: timeout)
    }

    /// Starts an invocation on an idle worker, else on the least busy one. `input` is copied before this returns; `output`
    /// must stay until the future is done or forgotten.
    /// - Throws: `.full` when every worker's slots are in flight; else as `invoke`.
    public func submit(
        _ function: UnsafeRawBufferPointer, _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(FallowError) -> Future {
        Future(
            try start(
                function, input, output: output.baseAddress ?? Self.nowhere, capacityBytes: output.count, until: nil),
            lease: self)
    }

    /// Starts an invocation whose result the future holds.
    /// - Parameter outputBytes: room for the result; nil is all that the lease allows.
    public func submit(
        _ function: String, _ input: [UInt8], outputBytes: Int? = nil
    ) throws(FallowError) -> Future {
        try submit(function, input, outputBytes: outputBytes, until: nil)
    }

    private func submit(
        _ function: String, _ input: [UInt8], outputBytes: Int?, orWait timeout: Duration?
    ) throws(FallowError) -> Future {
        try submit(function, input, outputBytes: outputBytes, until: Deadline(timeout: timeout, lease: self))
    }

    private func submit(
        _ function: String, _ input: [UInt8], outputBytes: Int?, until deadline: Deadline?
    ) throws(FallowError) -> Future {
        var function = function
        let capacity = outputBytes ?? self.outputBytes
        let outcome = function.withUTF8 { name in
            input.withUnsafeBytes { input in
                Result { () throws(FallowError) in
                    try start(
                        UnsafeRawBufferPointer(name), input, output: nil, capacityBytes: capacity, until: deadline)
                }
            }
        }
        return Future(try outcome.get(), lease: self)
    }

    /// Sends a call to the worker with the fewest in flight.
    /// - Parameter deadline: how long to wait for a slot; nil does not.
    private func start(
        _ function: UnsafeRawBufferPointer, _ input: UnsafeRawBufferPointer, output: UnsafeMutableRawPointer?,
        capacityBytes: Int, until deadline: Deadline?
    ) throws(FallowError) -> Call {
        try ForkGuard.check()
        client.agent.pumpIfDue(now: monotonicNanoseconds())
        if fate.isOver { throw FallowError(.leaseEnded, "\(fate.sentence); nothing was sent") }
        guard input.count <= inputBytes else {
            throw FallowError(.tooLarge, "the payload has \(input.count) bytes; this lease takes at most \(inputBytes)")
        }
        guard capacityBytes >= 0 else { throw FallowError(.invalid, "room for the result cannot be negative") }
        let number = try names.number(of: function)
        var backoff = Backoff()
        while true {
            let first = workers.count == 1 ? 0 : leastBusy()
            for offset in 0..<workers.count {
                let worker = workers[(first + offset) % workers.count]
                let call = Call(
                    worker: worker, function: number, output: output, capacityBytes: min(capacityBytes, outputBytes))
                switch worker.submit(call, input: input) {
                case .taken: return call
                case .full: continue
                case .over: throw FallowError(.leaseEnded, "\(fate.sentence); nothing was sent")
                }
            }
            guard let deadline else {
                throw FallowError(.full, "every slot of every worker is in flight: wait for one of the futures first")
            }
            let now = monotonicNanoseconds()
            guard now < deadline.nanoseconds else {
                throw FallowError(.timedOut, "no slot became free in time; nothing was sent")
            }
            for worker in workers { _ = worker.progress(until: nil, polls: 16) }
            backoff.pause(until: deadline.nanoseconds)
            client.agent.pumpIfDue(now: now)
            if fate.isOver { throw FallowError(.notStarted, "\(fate.sentence); the function was not started") }
        }
    }

    /// The worker with the fewest calls in flight; among equals they take turns.
    private func leastBusy() -> Int {
        let start = Int(rotation.wrappingAdd(1, ordering: .relaxed).newValue % UInt32(workers.count))
        var best = start
        var fewest = Int.max
        for offset in 0..<workers.count {
            let index = (start + offset) % workers.count
            let busy = workers[index].callsInFlight.load(ordering: .relaxed)
            if busy == 0 { return index }
            if busy < fewest {
                fewest = busy
                best = index
            }
        }
        return best
    }

    /// Where a result of no bytes goes.
    private nonisolated(unsafe) static let nowhere = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
}
