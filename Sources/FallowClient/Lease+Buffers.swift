extension Lease {
    /// Bytes for buffers that the lease was given.
    public var bufferBytes: Int { buffers?.memory.count ?? 0 }

    /// A buffer of the lease.
    /// - Throws: `.tooLarge` when the lease's memory for buffers (`LeaseOptions.bufferBytes`) has no such gap;
    ///   `.leaseEnded`, `.invalid`.
    public func buffer(byteCount: Int) throws(FallowError) -> Buffer {
        try ForkGuard.check()
        return try Buffer(area: try bufferArea(), byteCount: byteCount)
    }

    func bufferArea() throws(FallowError) -> BufferArea {
        if fate.isOver { throw FallowError(.leaseEnded, fate.sentence) }
        guard let buffers else {
            throw FallowError(.tooLarge, "this lease has no memory for buffers: ask for it when leasing")
        }
        return buffers
    }

    /// Invokes a function on the first `inputBytes` of a buffer and has its result written into another, or the same.
    ///
    /// As `invoke` otherwise. Neither is copied on the same node. After a time-out the function may still use both; so long
    /// they are not given out again, whatever becomes of the objects.
    public func invoke(
        _ function: String, _ input: Buffer?, inputBytes: Int, into output: Buffer?, timeout: Duration? = nil
    ) throws(FallowError) -> InvocationResult {
        var function = function
        let outcome = function.withUTF8 { name in
            Result { () throws(FallowError) in
                try run(try request(name, input, inputBytes, output), Patience(timeout))
            }
        }
        return try outcome.get()
    }

    /// Starts an invocation through buffers. The input is not copied: it has to stay as it is until the future is done.
    public func submit(
        _ function: String, _ input: Buffer?, inputBytes: Int, into output: Buffer?
    ) throws(FallowError) -> Future {
        var function = function
        let outcome = function.withUTF8 { name in
            Result { () throws(FallowError) in
                Future(try begin(try request(name, input, inputBytes, output)), at: output?.bytes.baseAddress)
            }
        }
        return try outcome.get()
    }

    private func request(
        _ name: UnsafeBufferPointer<UInt8>, _ input: Buffer?, _ inputBytes: Int, _ output: Buffer?
    ) throws(FallowError) -> CallRequest {
        guard inputBytes >= 0, inputBytes <= input?.bytes.count ?? 0 else {
            throw FallowError(.invalid, "the input's buffer has \(input?.bytes.count ?? 0) bytes, not \(inputBytes)")
        }
        return CallRequest(
            function: UnsafeRawBufferPointer(name),
            input: UnsafeRawBufferPointer(start: input?.bytes.baseAddress, count: inputBytes),
            output: output?.bytes.baseAddress, capacityBytes: output?.bytes.count ?? 0, isInBuffers: true)
    }
}
