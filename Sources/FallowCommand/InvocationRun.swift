internal import FallowClient
internal import FallowModel
internal import Histogram

/// Many invocations of one function, so many at a time, and how long each took.
struct InvocationRun {
    let lease: Lease
    let function: String
    let payload: [UInt8]
    let count: Int
    let concurrency: Int
    let timeout: Duration

    struct Result {
        var count = 0
        /// Of the last one that was waited for.
        var output: [UInt8] = []
        var returnValue: Int32 = 0
        /// How many returned something else than 0.
        var nonzero = 0
        var elapsed: Duration = .zero
        /// In nanoseconds, from submission to the outcome.
        var latencies = Histogram<UInt64>(
            lowestDiscernibleValue: 1, highestTrackableValue: 3_600_000_000_000, numberOfSignificantValueDigits: .three)
    }

    /// Runs them all; the first failure ends the run.
    func result() throws -> Result {
        // Looked up and warmed up once, outside what is measured, when there is something to measure.
        if count > 1 { _ = try lease.invoke(function, payload, timeout: timeout) }
        let start = ContinuousClock.now
        var result = concurrency == 1 ? try oneByOne() : try together()
        result.elapsed = ContinuousClock.now - start
        return result
    }

    private func oneByOne() throws -> Result {
        var result = Result()
        var output = [UInt8](repeating: 0, count: lease.outputBytes)
        var byteCount = 0
        let name = Array(function.utf8)
        for _ in 0..<count {
            let begun = ContinuousClock.now
            let done = try name.withUnsafeBytes { name in
                try payload.withUnsafeBytes { payload in
                    try output.withUnsafeMutableBytes { try lease.invoke(name, payload, into: $0, timeout: timeout) }
                }
            }
            result.latencies.record(UInt64(max(1, (ContinuousClock.now - begun).nanoseconds)))
            result.count += 1
            (byteCount, result.returnValue) = (done.byteCount, done.returnValue)
            if done.returnValue != 0 { result.nonzero += 1 }
        }
        result.output = Array(output.prefix(byteCount))
        return result
    }

    private func together() throws -> Result {
        var result = Result()
        var underWay: [(future: Future, begun: ContinuousClock.Instant)] = []
        var submitted = 0
        while result.count < count {
            while submitted < count, underWay.count < concurrency {
                guard let future = try submitIfRoom(mayWait: !underWay.isEmpty) else { break }
                underWay.append((future, .now))
                submitted += 1
            }
            let index = try Future.waitAny(underWay.map(\.future), timeout: timeout)
            let done = underWay.remove(at: index)
            let reply = try done.future.wait(timeout: timeout)
            result.latencies.record(UInt64(max(1, (ContinuousClock.now - done.begun).nanoseconds)))
            result.count += 1
            result.output = reply.output
            result.returnValue = reply.returnValue
            if reply.returnValue != 0 { result.nonzero += 1 }
        }
        return result
    }

    /// Starts one invocation; nil when every slot is in flight and there is something to wait for.
    private func submitIfRoom(mayWait: Bool) throws -> Future? {
        do {
            return try lease.submit(function, payload)
        } catch {
            guard error.code == .full, mayWait else { throw error }
            return nil
        }
    }
}
