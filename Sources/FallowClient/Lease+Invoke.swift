internal import FallowModel

extension Lease {
    /// What a function gave back, with its result.
    public struct Reply: Hashable, Sendable {
        public var output: [UInt8]
        /// What the function returned; 0 for rFaaS functions.
        public var returnValue: Int32
    }

    /// Invokes a function and waits for its result, which is written to `output`.
    ///
    /// Blocks at most for the time-out (nil: the rest of the term), waiting for a free slot included. Allocates nothing, and makes
    /// no system call when the worker answers within microseconds.
    /// - Throws: `.unknownFunction`, `.tooLarge`, `.resultTooLarge` (with `bytesNeeded`), `.timedOut`, `.leaseEnded`,
    ///   `.notStarted`, `.outcomeUnknown`, `.invalid`. After a time-out `output` is not touched any more.
    public func invoke(
        _ function: UnsafeRawBufferPointer, _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer, timeout: Duration? = nil
    ) throws(FallowError) -> InvocationResult {
        try run(
            CallRequest(function: function, input: input, output: output.baseAddress, capacityBytes: output.count),
            Patience(timeout))
    }

    /// The same from C.
    /// - Parameters:
    ///   - seconds: no more than the rest of the term when 0 or less.
    ///   - isInBuffers: whether input and output lie in buffers of the lease.
    package func invoke(
        _ function: UnsafeRawBufferPointer, _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer, isInBuffers: Bool, seconds: Double
    ) throws(FallowError) -> InvocationResult {
        guard !seconds.isNaN else { throw FallowError(.invalid, "timeout_seconds is not a number") }
        return try run(
            CallRequest(
                function: function, input: input, output: output.baseAddress, capacityBytes: output.count,
                isInBuffers: isInBuffers),
            Patience(seconds: seconds))
    }

    /// Invokes a function and waits for its result, as an array.
    /// - Parameters:
    ///   - function: its name in the library that the lease was made with.
    ///   - input: at most what the lease allows.
    ///   - outputBytes: room for the result; nil is all that the lease allows.
    ///   - timeout: nil is the rest of the term.
    public func invoke(
        _ function: String, _ input: [UInt8], outputBytes: Int? = nil, timeout: Duration? = nil
    ) throws(FallowError) -> Reply {
        let room = min(outputBytes ?? self.outputBytes, self.outputBytes)
        guard room >= 0 else { throw FallowError(.invalid, "room for the result cannot be negative") }
        let result = UnsafeMutableRawBufferPointer.allocate(byteCount: max(room, 1), alignment: 16)
        defer { result.deallocate() }
        var function = function
        let outcome = function.withUTF8 { name in
            input.withUnsafeBytes { input in
                Result { () throws(FallowError) in
                    try run(
                        CallRequest(
                            function: UnsafeRawBufferPointer(name), input: input, output: result.baseAddress,
                            capacityBytes: room),
                        Patience(timeout))
                }
            }
        }
        let told = try outcome.get()
        return Reply(output: [UInt8](result.prefix(told.byteCount)), returnValue: told.returnValue)
    }

    /// Starts an invocation on an idle worker, else on the least busy one. `input` is copied before this returns; `output`
    /// must stay until the future is done or forgotten.
    /// - Throws: `.full` when every worker's slots are in flight; else as `invoke`.
    public func submit(
        _ function: UnsafeRawBufferPointer, _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(FallowError) -> Future {
        Future(
            try begin(
                CallRequest(function: function, input: input, output: output.baseAddress, capacityBytes: output.count)),
            at: output.baseAddress)
    }

    /// Starts an invocation whose result the future holds.
    /// - Parameters:
    ///   - function: its name in the library that the lease was made with.
    ///   - input: at most what the lease allows; copied before this returns.
    ///   - outputBytes: room for the result; nil is all that the lease allows.
    public func submit(
        _ function: String, _ input: [UInt8], outputBytes: Int? = nil
    ) throws(FallowError) -> Future {
        var function = function
        let room = min(outputBytes ?? self.outputBytes, self.outputBytes)
        guard room >= 0 else { throw FallowError(.invalid, "room for the result cannot be negative") }
        let result = UnsafeMutableRawPointer.allocate(byteCount: max(room, 1), alignment: 16)
        let outcome = function.withUTF8 { name in
            input.withUnsafeBytes { input in
                Result { () throws(FallowError) in
                    try begin(
                        CallRequest(
                            function: UnsafeRawBufferPointer(name), input: input, output: result, capacityBytes: room))
                }
            }
        }
        do {
            return Future(try outcome.get(), at: result, ownsPlace: true)
        } catch {
            result.deallocate()
            throw error
        }
    }
}
