internal import FallowModel
internal import FallowWire
internal import Glibc
internal import Synchronization

/// What a call is asked for with.
struct CallRequest {
    let function: UnsafeRawBufferPointer
    let input: UnsafeRawBufferPointer
    /// Where the result goes; nil with a capacity of 0.
    let output: UnsafeMutableRawPointer?
    let capacityBytes: Int
    /// Whether input and output have to lie in buffers of the lease.
    var isInBuffers = false
}

/// How long a caller waits, from when it begins to.
struct Patience {
    /// Nil: the rest of the lease's term, and a little more: its end is the agent's to tell.
    let nanoseconds: Int64?

    init(_ timeout: Duration?) { nanoseconds = timeout.map { max(0, $0.nanoseconds) } }
    /// - Parameter seconds: a number; zero and less is the rest of the term.
    init(seconds: Double) { nanoseconds = seconds <= 0 ? nil : Int64(min(seconds, 1e9) * 1e9) }
}

/// How a call starts and ends, whoever asks for it.
extension Lease {
    /// Starts a call and waits for it; the record lies on this thread's stack.
    func run(_ request: CallRequest, _ patience: Patience) throws(FallowError) -> InvocationResult {
        var record = try record(for: request)
        return try withUnsafeMutablePointer(to: &record) { call throws(FallowError) in
            let admission = bestWorker()._withUnsafeGuaranteedRef { $0.call(call) }
            if admission == .over, !call.pointee.isDone {
                endUse(call.pointee.places)
                throw FallowError(.leaseEnded, "\(fate.sentence); nothing was sent")
            }
            if !call.pointee.isDone { try waitOut(call, until: Deadline(patience, lease: self)) }
            return try result(of: call)
        }
    }

    private func waitOut(_ call: CallPointer, until deadline: Deadline) throws(FallowError) {
        if wait(for: call, until: deadline) { return }
        call.pointee.worker?._withUnsafeGuaranteedRef { $0.abandon(call) }
        guard !call.pointee.isDone else { return }
        throw FallowError(
            .timedOut,
            call.pointee.isSent
                ? "no answer came in time; the function may still run" : "no slot became free in time; nothing was sent"
        )
    }

    /// Starts a call for a future, which keeps the lease.
    /// - Throws: `.full` when no worker has a slot.
    func begin(_ request: CallRequest) throws(FallowError) -> CallPointer {
        let call = pool.take(try record(for: request))
        let (count, admission) = withUnsafePointer(to: call) { admit(UnsafeBufferPointer(start: $0, count: 1)) }
        guard count == 1 else {
            discard(call)
            throw admission == .over ? FallowError(.leaseEnded, "\(fate.sentence); nothing was sent") : allFull
        }
        call.pointee.lease = Unmanaged.passRetained(self)
        return call
    }

    /// Has the workers take calls, as many as have slots, the least busy ones first; one doorbell a worker.
    /// - Returns: how many of the first were taken.
    func admit(_ calls: UnsafeBufferPointer<CallPointer>) -> (count: Int, WorkerConnection.Admission) {
        var taken = 0
        var refusals = 0
        while taken < calls.count {
            let left = calls.count - taken
            // A fair share for each, so that a batch keeps all of them busy.
            let share = (left + workerCount - 1) / workerCount
            let chunk = UnsafeBufferPointer(rebasing: calls[taken..<taken + share])
            let (count, admission) = bestWorker()._withUnsafeGuaranteedRef { $0.submit(chunk) }
            taken += count
            if admission == .over, count == 0 { return (taken, .over) }
            // Hints may be stale: every worker is asked before it is said that all are full.
            if admission == .full {
                refusals += 1
                if refusals > 1 {
                    for worker in workers where taken < calls.count {
                        let rest = UnsafeBufferPointer(rebasing: calls[taken...])
                        taken += worker.submit(rest).count
                    }
                    return (taken, taken == calls.count ? .taken : .full)
                }
            }
        }
        return (taken, .taken)
    }

    /// Gives a record back that no worker took.
    func discard(_ call: CallPointer) {
        endUse(call.pointee.places)
        pool.giveBack(call)
    }

    /// Checks a request; what it gives has not been sent, and uses its buffers.
    @inline(__always)
    func record(for request: CallRequest) throws(FallowError) -> CallRecord {
        try ForkGuard.check()
        client.agent.pumpIfDue(now: coarseNanoseconds())
        if fate.isOver { throw FallowError(.leaseEnded, "\(fate.sentence); nothing was sent") }
        guard request.input.count <= inputBytes else {
            throw FallowError(
                .tooLarge, "the payload has \(request.input.count) bytes; this lease takes at most \(inputBytes)")
        }
        guard request.capacityBytes >= 0 else {
            throw FallowError(.invalid, "room for the result cannot be negative")
        }
        let function = try names.number(of: request.function)
        let capacity = min(request.capacityBytes, outputBytes)
        var places = BufferPlaces.none
        var output = request.output
        if request.isInBuffers {
            places = try bufferArea().use(
                input: request.input, output: UnsafeMutableRawBufferPointer(start: output, count: request.capacityBytes)
            )
            if places.isInPlace { output = nil }
        }
        return CallRecord(
            function: function, input: request.input, output: output, capacityBytes: capacity, places: places)
    }

    private func endUse(_ places: BufferPlaces) { if !places.placement.isEmpty { buffers?.endUse(places) } }

    /// What became of a call that is done.
    @inline(__always)
    func result(of call: CallPointer) throws(FallowError) -> InvocationResult {
        guard call.pointee.outcome == .returned else { throw failure(of: call) }
        return InvocationResult(byteCount: call.pointee.resultBytes, returnValue: call.pointee.returnValue)
    }

    private func failure(of call: CallPointer) -> FallowError {
        switch call.pointee.outcome {
        case .underWay, .returned: return FallowError(.internalError, "the call's outcome is not known")
        case .unknownFunction:
            let name = names.text(of: call.pointee.function)
            return FallowError(
                .unknownFunction,
                "the library has no function '\(name)' (C++ functions need extern \"C\", and none may be static)")
        case .resultTooLarge:
            let needed = call.pointee.resultBytes
            return FallowError(
                .resultTooLarge,
                "the result needs \(needed) bytes, and there was room for \(call.pointee.capacityBytes)",
                bytesNeeded: needed)
        case .malformed:
            return FallowError(.internalError, "the executor could not make sense of the invocation's header")
        case .notStarted: return FallowError(.notStarted, "\(fate.sentence); the function was not started")
        case .unknown:
            return FallowError(.outcomeUnknown, "\(fate.sentence); the function may or may not have run")
        }
    }

    /// The worker for the next call: an idle one that polls, else an idle one, else the one with the fewest calls.
    @inline(__always)
    func bestWorker() -> Unmanaged<WorkerConnection> { workerCount == 1 ? workerTable[0] : choose() }

    /// Begins with the one that was chosen last: it is the likeliest to poll still.
    private func choose() -> Unmanaged<WorkerConnection> {
        let start = Int(lastChosen.load(ordering: .relaxed))
        var best = start
        var fewest = Int.max
        for offset in 0..<workerCount {
            let index = start + offset < workerCount ? start + offset : start + offset - workerCount
            // Twice the calls, and one more for a worker that sleeps.
            let burden = workerTable[index]._withUnsafeGuaranteedRef {
                let busy = $0.counts.pointee.callsInFlight.load(ordering: .relaxed)
                return busy == 0 && $0.isPeerAsleep ? 1 : busy * 2
            }
            if burden < fewest {
                fewest = burden
                best = index
                if burden == 0 { break }
            }
        }
        if best != start { lastChosen.store(UInt32(best), ordering: .relaxed) }
        return workerTable[best]
    }
}
