// The functions bear their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

internal import CFallow
internal import FallowClient
internal import FallowModel
internal import Glibc

@c @implementation public func fallow_invoke(
    _ lease: OpaquePointer!, _ function: UnsafePointer<CChar>!, _ input: UnsafeRawPointer!, _ inputSize: Int,
    _ output: UnsafeMutableRawPointer!, _ outputSize: UnsafeMutablePointer<Int>!,
    _ returnValue: UnsafeMutablePointer<Int32>!, _ timeoutSeconds: Double
) -> Int32 {
    invoke(
        lease, function, input, inputSize, output, outputSize, returnValue, timeoutSeconds, isInBuffers: false)
}

@c @implementation public func fallow_invoke_buffers(
    _ lease: OpaquePointer!, _ function: UnsafePointer<CChar>!, _ input: UnsafeRawPointer!, _ inputSize: Int,
    _ output: UnsafeMutableRawPointer!, _ outputSize: UnsafeMutablePointer<Int>!,
    _ returnValue: UnsafeMutablePointer<Int32>!, _ timeoutSeconds: Double
) -> Int32 {
    invoke(lease, function, input, inputSize, output, outputSize, returnValue, timeoutSeconds, isInBuffers: true)
}

@inline(__always)
private func invoke(
    _ lease: OpaquePointer?, _ function: UnsafePointer<CChar>?, _ input: UnsafeRawPointer?, _ inputSize: Int,
    _ output: UnsafeMutableRawPointer?, _ outputSize: UnsafeMutablePointer<Int>?,
    _ returnValue: UnsafeMutablePointer<Int32>?, _ timeoutSeconds: Double, isInBuffers: Bool
) -> Int32 {
    do throws(FallowError) {
        let lease = try object(lease, "lease", as: Lease.self)
        let result = try lease.invoke(
            try functionName(function), try bytes(input, inputSize, "input"),
            into: try bytes(output, outputSize?.pointee ?? 0, "output"), isInBuffers: isInBuffers,
            seconds: timeoutSeconds)
        deliver(result, outputSize, returnValue)
        return 0
    } catch {
        if error.code == .resultTooLarge { outputSize?.pointee = error.bytesNeeded }
        return Failure.record(error)
    }
}

@c @implementation public func fallow_submit(
    _ lease: OpaquePointer!, _ function: UnsafePointer<CChar>!, _ input: UnsafeRawPointer!, _ inputSize: Int,
    _ output: UnsafeMutableRawPointer!, _ outputCapacity: Int, _ future: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    submit(lease, function, input, inputSize, output, outputCapacity, future, isInBuffers: false)
}

@c @implementation public func fallow_submit_buffers(
    _ lease: OpaquePointer!, _ function: UnsafePointer<CChar>!, _ input: UnsafeRawPointer!, _ inputSize: Int,
    _ output: UnsafeMutableRawPointer!, _ outputCapacity: Int, _ future: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    submit(lease, function, input, inputSize, output, outputCapacity, future, isInBuffers: true)
}

private func submit(
    _ lease: OpaquePointer?, _ function: UnsafePointer<CChar>?, _ input: UnsafeRawPointer?, _ inputSize: Int,
    _ output: UnsafeMutableRawPointer?, _ outputCapacity: Int, _ future: UnsafeMutablePointer<OpaquePointer?>?,
    isInBuffers: Bool
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let future else { throw FallowError(.invalid, "future is NULL: there is nowhere to put the future") }
        future.pointee = nil
        let lease = try object(lease, "lease", as: Lease.self)
        future.pointee = try RawFuture.submit(
            lease, try functionName(function), try bytes(input, inputSize, "input"),
            try bytes(output, outputCapacity, "output"), isInBuffers: isInBuffers)
    }
}

@c @implementation public func fallow_wait(
    _ future: OpaquePointer!, _ outputSize: UnsafeMutablePointer<Int>!, _ returnValue: UnsafeMutablePointer<Int32>!,
    _ timeoutSeconds: Double
) -> Int32 {
    do throws(FallowError) {
        guard let future else { throw FallowError(.invalid, "future is NULL") }
        deliver(try RawFuture.wait(future, seconds: timeoutSeconds), outputSize, returnValue)
        return 0
    } catch {
        if error.code == .resultTooLarge { outputSize?.pointee = error.bytesNeeded }
        return Failure.record(error)
    }
}

@c @implementation public func fallow_wait_any(
    _ futures: UnsafePointer<OpaquePointer?>!, _ count: Int, _ index: UnsafeMutablePointer<Int>!,
    _ timeoutSeconds: Double
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let index else { throw FallowError(.invalid, "index is NULL: there is nowhere to put which one is done") }
        index.pointee = try RawFuture.waitAny(try array(futures, count), timeout: try patience(timeoutSeconds))
    }
}

@c @implementation public func fallow_wait_all(
    _ futures: UnsafePointer<OpaquePointer?>!, _ count: Int, _ timeoutSeconds: Double
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        try RawFuture.waitAll(try array(futures, count), timeout: try patience(timeoutSeconds))
    }
}

@c @implementation public func fallow_future_free(_ future: OpaquePointer!) {
    if let future { RawFuture.free(future) }
}

@c @implementation public func fallow_code_name(_ code: Int32) -> UnsafePointer<CChar>! {
    CodeNames.name(of: code)
}

@c @implementation public func fallow_message() -> UnsafePointer<CChar>! {
    Failure.sentence ?? CodeNames.noFailure
}

private func deliver(
    _ result: InvocationResult, _ outputSize: UnsafeMutablePointer<Int>?, _ returnValue: UnsafeMutablePointer<Int32>?
) {
    outputSize?.pointee = result.byteCount
    returnValue?.pointee = result.returnValue
}

private func array(_ futures: UnsafePointer<OpaquePointer?>?, _ count: Int) throws(FallowError) -> [OpaquePointer] {
    guard let futures, count > 0 else { throw FallowError(.invalid, "there is no future to wait for") }
    guard count <= 1 << 20 else {
        throw FallowError(.invalid, "\(count) futures at once: at most \(1 << 20) are allowed")
    }
    var all: [OpaquePointer] = []
    all.reserveCapacity(count)
    for index in 0..<count {
        guard let future = futures[index] else { throw FallowError(.invalid, "one of the futures is NULL") }
        all.append(future)
    }
    return all
}

/// Negative: as long as the leases' terms, whose ends settle every future.
private func patience(_ seconds: Double) throws(FallowError) -> Duration {
    seconds < 0 ? .seconds(1e9) : try span(seconds: seconds, "timeout_seconds")
}

/// Static C strings.
private enum CodeNames {
    static func name(of code: Int32) -> UnsafePointer<CChar> {
        let names: [StaticString] = [
            "FALLOW_OK", "FALLOW_INVALID", "FALLOW_NO_AGENT", "FALLOW_NO_CAPACITY", "FALLOW_REFUSED",
            "FALLOW_LIBRARY_UNUSABLE", "FALLOW_UNKNOWN_FUNCTION", "FALLOW_TOO_LARGE", "FALLOW_RESULT_TOO_LARGE",
            "FALLOW_FULL", "FALLOW_TIMED_OUT", "FALLOW_NOT_STARTED", "FALLOW_OUTCOME_UNKNOWN", "FALLOW_LEASE_ENDED",
            "FALLOW_INTERNAL", "FALLOW_DATA_LOST",
        ]
        return text(names.indices.contains(Int(code)) ? names[Int(code)] : "no code of fallow.h")
    }

    static var noFailure: UnsafePointer<CChar> { text("no call has failed in this thread") }

    private static func text(_ string: StaticString) -> UnsafePointer<CChar> {
        UnsafeRawPointer(string.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
