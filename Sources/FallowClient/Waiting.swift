internal import FallowModel
internal import Glibc
internal import Synchronization

/// A moment on the monotonic clock until which a caller waits.
struct Deadline {
    let nanoseconds: Int64

    init(_ patience: Patience, lease: Lease) {
        self.init(afterNanoseconds: patience.nanoseconds ?? (lease.timeLeft + .seconds(2)).nanoseconds)
    }
    init(timeout: Duration?, lease: Lease) { self.init(Patience(timeout), lease: lease) }
    init(after span: Duration) { self.init(afterNanoseconds: max(0, span.nanoseconds)) }
    private init(afterNanoseconds span: Int64) {
        let (sum, overflow) = monotonicNanoseconds().addingReportingOverflow(span)
        nanoseconds = overflow ? .max : sum
    }
}

/// How waiting threads poll, and then sleep.
enum WaitPolicy {
    /// Polling before a sleep, counted anew when answers come.
    static let pollNanoseconds: Int64 = 50_000
    /// With so few calls under way at a worker, one's own answer is near: it is worth polling for.
    static let fewCalls = 2
    /// How long the first call of a function on a worker waits for the answer to its question before it leaves that to the
    /// waiting: long enough for a worker that has to be woken beside busy ones.
    static let questionNanoseconds: Int64 = 20_000_000
    /// The shortest and longest sleep between two looks at everything else: the agent's word, other workers.
    static let firstTurnNanoseconds: Int64 = 1_000_000
    static let longestTurnNanoseconds: Int64 = 16_000_000
}

/// Sleeps that grow from 20 µs to 1 ms.
struct Backoff {
    private var nanoseconds: Int64 = 20_000

    mutating func pause(until deadline: Int64) {
        let span = max(1000, min(nanoseconds, deadline - monotonicNanoseconds()))
        usleep(useconds_t(span / 1000))
        nanoseconds = min(nanoseconds * 2, 1_000_000)
    }
}

extension Lease {
    /// Waits for a call: polls for a while, then sleeps. One thread at a time watches a worker and takes in the answers for
    /// all; the others sleep until theirs has come, or they have to take over.
    /// - Returns: false when the deadline came first.
    func wait(for call: CallPointer, until deadline: Deadline) -> Bool {
        guard let worker = call.pointee.worker else { return call.pointee.isDone }
        return worker._withUnsafeGuaranteedRef { worker in
            var isWatching = false
            let isDone = wait(for: call, on: worker, until: deadline, &isWatching)
            if isWatching { worker.stopWatching() }
            return isDone
        }
    }

    private func wait(
        for call: CallPointer, on worker: WorkerConnection, until deadline: Deadline, _ isWatching: inout Bool
    ) -> Bool {
        var now = monotonicNanoseconds()
        var pollEnd = now + WaitPolicy.pollNanoseconds
        var turn = WaitPolicy.firstTurnNanoseconds
        var inFlight = worker.counts.pointee.callsInFlight.load(ordering: .relaxed)
        var polled = false
        while !call.pointee.isDone {
            if !isWatching { isWatching = worker.startWatching() }
            guard now < deadline.nanoseconds else {
                _ = worker.progress(until: call, polls: 1)
                return call.pointee.isDone
            }
            if now < min(pollEnd, deadline.nanoseconds), isWatching || inFlight <= WaitPolicy.fewCalls {
                let hadTurn = worker.progress(until: call, polls: 96)
                if call.pointee.isDone { break }
                // The worker, or a thread whose call is done, may be waiting for this very CPU.
                if !hadTurn || polled { sched_yield() }
                polled = true
                now = monotonicNanoseconds()
            } else {
                look(now: now, besides: worker)
                if call.pointee.isDone { break }
                let span = min(turn, deadline.nanoseconds - now)
                if isWatching {
                    worker.sleepWatching(for: call, atMostNanoseconds: span)
                } else {
                    worker.sleepUnwatched(for: call, atMostNanoseconds: span)
                }
                turn = min(turn * 2, WaitPolicy.longestTurnNanoseconds)
                now = monotonicNanoseconds()
            }
            // Where answers come, the next is not far.
            let left = worker.counts.pointee.callsInFlight.load(ordering: .relaxed)
            if left != inFlight { pollEnd = now + WaitPolicy.pollNanoseconds }
            inFlight = left
        }
        return true
    }

    /// Looks at everything else, now and then: what the agent said, and calls that wait to be sent to other workers.
    func look(now: Int64, besides worker: WorkerConnection?) {
        client.agent.pumpIfDue(now: now)
        for other in workers {
            if fate.isOver {
                other.end()
            } else if other !== worker, other.counts.pointee.callsUnsent.load(ordering: .relaxed) > 0 {
                _ = other.progress(until: nil, polls: 1)
            }
        }
    }
}
