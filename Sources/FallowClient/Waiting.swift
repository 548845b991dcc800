internal import FallowModel
internal import Glibc
internal import Synchronization

/// A moment on the monotonic clock until which a caller waits.
struct Deadline {
    let nanoseconds: Int64

    /// - Parameter timeout: nil is the rest of the lease's term, and a little more: its end is the agent's to tell.
    init(timeout: Duration?, lease: Lease) {
        self.init(after: timeout ?? lease.timeLeft + .seconds(2))
    }
    init(after span: Duration) {
        let (sum, overflow) = monotonicNanoseconds().addingReportingOverflow(max(0, span.nanoseconds))
        nanoseconds = overflow ? .max : sum
    }
}

/// How waiting threads poll, and then sleep.
enum WaitPolicy {
    /// Polling before the first sleep.
    static let pollNanoseconds: Int64 = 50_000
    /// How long the first call of a function on a worker waits for the answer to its question before it leaves that to the
    /// waiting: long enough for a worker that has to be woken beside busy ones.
    static let questionNanoseconds: Int64 = 20_000_000
    /// The shortest and longest turn at sleeping on a worker. A turn holds the worker's lock; who submits to a worker that
    /// somebody sleeps on would be queued behind that call anyway.
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
    /// Waits for a call: polls for a while, then sleeps, taking turns with other threads that wait for the same worker.
    /// - Returns: false when the deadline came first.
    func wait(for call: Call, until deadline: Deadline) -> Bool {
        let worker = call.worker
        var polled = false
        var now = monotonicNanoseconds()
        let pollEnd = min(now + WaitPolicy.pollNanoseconds, deadline.nanoseconds)
        repeat {
            let hadTurn = worker.progress(until: call, polls: 128)
            if call.isDone { return true }
            // The worker, or whoever has the turn, may be waiting for this very CPU.
            if !hadTurn || polled { sched_yield() }
            polled = true
            now = monotonicNanoseconds()
        } while now < pollEnd
        var turn = WaitPolicy.firstTurnNanoseconds
        while true {
            client.agent.pumpIfDue(now: now)
            // Calls on other workers may still wait to be sent; nobody else may be waiting there.
            for other in workers where other.callsUnsent.load(ordering: .relaxed) > 0 && other !== worker {
                _ = other.progress(until: nil, polls: 1)
            }
            if fate.isOver { worker.end() }
            if call.isDone { return true }
            guard now < deadline.nanoseconds else { return false }
            let span = min(turn, deadline.nanoseconds - now)
            if !worker.sleepTurn(atMostNanoseconds: span) { call.sleep(atMostNanoseconds: span) }
            if call.isDone { return true }
            turn = min(turn * 2, WaitPolicy.longestTurnNanoseconds)
            now = monotonicNanoseconds()
        }
    }
}
