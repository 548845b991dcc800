internal import Dispatch
internal import FallowModel
internal import FallowWire
internal import Glibc
internal import Synchronization

/// A few threads for calls that block: libmunge, files. Nothing of it runs on the event loops.
///
/// The queue is bounded and so is every wait: a call that does not come back in time leaves its thread behind, and its
/// caller gets an error.
public final class BlockingPool: Sendable {
    /// Shared by the whole process.
    public static let shared = BlockingPool(name: "fallow.blocking", threads: 4, limit: 1024)

    private typealias Job = @Sendable () -> Void
    private struct State {
        var jobs: [Job] = []
        var isClosed = false
    }
    /// Shared with the threads, which end when the pool does.
    private final class Jobs: Sendable {
        let state = Mutex(State())
        let ready = DispatchSemaphore(value: 0)
    }
    private let jobs = Jobs()
    private let timers: DispatchQueue
    private let limit: Int
    private let name: String

    /// - Parameters:
    ///   - threads: calls that may block at one time.
    ///   - limit: calls that may wait for a thread; one more is refused as `unavailable`.
    public init(name: String, threads: Int, limit: Int) {
        self.name = name
        self.limit = limit
        timers = DispatchQueue(label: "\(name).timers")
        // Threads of our own: Dispatch's are shared with whatever else blocks in the process, and are few.
        for _ in 0..<threads { startDetachedThread { [jobs] in Self.work(jobs) } }
    }

    deinit {
        jobs.state.withLock { $0.isClosed = true }
        jobs.ready.signal()
    }

    /// Runs `body` on one of the threads.
    ///
    /// - Throws: what `body` throws; `WireError` `unavailable` when too many calls wait or `timeout` passes (then `body` may
    ///   still be running, and its result is dropped); `CancellationError` when the task is cancelled meanwhile, likewise.
    public func run<Value: Sendable>(
        timeout: Duration = .seconds(10), _ what: String, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let outcome = Outcome<Value>()
        return try await withTaskCancellationHandler {
            try await start(outcome, timeout, what, body)
        } onCancel: {
            outcome.finish(.failure(CancellationError()))
        }
    }

    private func start<Value: Sendable>(
        _ outcome: Outcome<Value>, _ timeout: Duration, _ what: String, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            outcome.arm(continuation)
            let timer = UncheckedTimer(
                DispatchWorkItem {
                    outcome.finish(
                        .failure(WireError(.unavailable, "\(what): no answer within \(timeout.inSeconds) s")))
                })
            let taken = jobs.state.withLock { state in
                guard state.jobs.count < limit else { return false }
                state.jobs.append {
                    outcome.finish(Result { try body() })
                    timer.item.cancel()
                }
                return true
            }
            guard taken else {
                return outcome.finish(
                    .failure(WireError(.unavailable, "\(what): \(limit) calls wait already in \(name)")))
            }
            jobs.ready.signal()
            timers.asyncAfter(deadline: .now() + timeout.inSeconds, execute: timer.item)
        }
    }

    private static func work(_ jobs: Jobs) {
        while true {
            jobs.ready.wait()
            let (job, isClosed) = jobs.state.withLock { state in
                (state.jobs.isEmpty ? nil : state.jobs.removeFirst(), state.isClosed)
            }
            if let job {
                job()
            } else if isClosed {
                jobs.ready.signal()  // the next thread ends too
                return
            }
        }
    }
}

/// DispatchWorkItem's `cancel` may be called from any thread; its type does not say so.
private struct UncheckedTimer: @unchecked Sendable {
    let item: DispatchWorkItem
    init(_ item: DispatchWorkItem) { self.item = item }
}

/// A continuation that the first of several finishers resumes; one may come before the continuation does.
private final class Outcome<Value: Sendable>: Sendable {
    private enum State {
        case unarmed
        case armed(CheckedContinuation<Value, any Error>)
        case finished(Result<Value, any Error>?)
    }
    private let state = Mutex<State>(.unarmed)

    func arm(_ continuation: CheckedContinuation<Value, any Error>) {
        let early: Result<Value, any Error>? = state.withLock { state in
            if case .finished(let result) = state { return result }
            state = .armed(continuation)
            return nil
        }
        if let early { continuation.resume(with: early) }
    }

    func finish(_ result: Result<Value, any Error>) {
        let waiting: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .unarmed: state = .finished(result)
            case .armed(let continuation):
                state = .finished(nil)
                return continuation
            case .finished: break
            }
            return nil
        }
        waiting?.resume(with: result)
    }
}
