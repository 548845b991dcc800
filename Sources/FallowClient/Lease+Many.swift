/// Many calls at once: each worker is told once for all that it gets.
extension Lease {
    /// Starts one invocation for each input, spread over the workers.
    /// - Returns: as many futures as found slots, in the order of the inputs: at least one.
    /// - Throws: `.full` when none did; else as `invoke`, and then none was started.
    public func submit(
        _ function: String, all inputs: [[UInt8]], outputBytes: Int? = nil
    ) throws(FallowError) -> [Future] {
        guard !inputs.isEmpty else { throw FallowError(.invalid, "there is no input to submit") }
        let room = min(max(0, outputBytes ?? self.outputBytes), self.outputBytes)
        let memory = UnsafeMutableBufferPointer<CallPointer>.allocate(capacity: inputs.count)
        defer { memory.deallocate() }
        let results = inputs.map { _ in UnsafeMutableRawPointer.allocate(byteCount: max(room, 1), alignment: 16) }
        // Inputs have to stay where they are until the calls are taken.
        let copies = inputs.map { input in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(input.count, 1), alignment: 16)
            copy.copyBytes(from: input)
            return UnsafeRawBufferPointer(rebasing: copy.prefix(input.count))
        }
        defer { for copy in copies { copy.baseAddress?.deallocate() } }
        var function = function
        let outcome = function.withUTF8 { name in
            Result { () throws(FallowError) in
                try beginAll(memory) { index in
                    CallRequest(
                        function: UnsafeRawBufferPointer(name), input: copies[index], output: results[index],
                        capacityBytes: room)
                }
            }
        }
        let started = (try? outcome.get()) ?? 0
        for result in results[started...] { result.deallocate() }
        let count = try outcome.get()
        guard count > 0 else { throw allFull }
        return (0..<count).map { Future(memory[$0], at: results[$0], ownsPlace: true) }
    }

    /// The same from C.
    /// - Parameter futures: filled with as many as were started, for `RawFuture`.
    /// - Returns: how many were started: the first ones.
    /// - Throws: when one of the items makes no sense, or the lease is over, and nothing was started.
    package func submitAll(
        _ function: UnsafeRawBufferPointer, into futures: UnsafeMutableBufferPointer<OpaquePointer?>,
        item: (Int) -> (input: UnsafeRawBufferPointer, output: UnsafeMutableRawBufferPointer)
    ) throws(FallowError) -> Int {
        try futures.withMemoryRebound(to: CallPointer.self) { calls throws(FallowError) in
            try beginAll(calls) { index in
                let (input, output) = item(index)
                return CallRequest(
                    function: function, input: input, output: output.baseAddress, capacityBytes: output.count)
            }
        }
    }

    var allFull: FallowError {
        FallowError(.full, "every slot of every worker is in flight: wait for one of the futures first")
    }

    /// Starts calls, as many as find slots.
    private func beginAll(
        _ calls: UnsafeMutableBufferPointer<CallPointer>, _ request: (Int) -> CallRequest
    ) throws(FallowError) -> Int {
        var prepared = 0
        do throws(FallowError) {
            while prepared < calls.count {
                let call = pool.take(try record(for: request(prepared)))
                (calls.baseAddress! + prepared).initialize(to: call)
                prepared += 1
            }
        } catch {
            for index in 0..<prepared { discard(calls[index]) }
            throw error
        }
        let (count, admission) = admit(UnsafeBufferPointer(calls))
        for index in 0..<count { calls[index].pointee.lease = Unmanaged.passRetained(self) }
        for index in count..<calls.count { discard(calls[index]) }
        if count == 0, admission == .over {
            throw FallowError(.leaseEnded, "\(fate.sentence); nothing was sent")
        }
        return count
    }
}
