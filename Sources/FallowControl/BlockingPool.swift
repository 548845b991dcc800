internal import Dispatch
internal import FallowModel
internal import FallowWire
internal import Synchronization

/// A few threads for calls that block: libmunge, files. Nothing of it runs on the event loops.
///
/// The queue is bounded and so is every wait: a call that does not come back in time leaves its thread behind, and its
/// caller gets an error.
public final class BlockingPool: Sendable {
    /// Shared by the whole process.
    public static let shared = BlockingPool(name: "fallow.blocking", threads: 4, limit: 1024)

    private let queues: [DispatchQueue]
    private let timers: DispatchQueue
    private let limit: Int
    private let name: String
    private struct State {
        var next = 0
        var waiting: [Int]
    }
    private let state: Mutex<State>

    /// - Parameters:
    ///   - threads: calls that may block at one time.
    ///   - limit: calls that may wait; one more is refused as `unavailable`.
    public init(name: String, threads: Int, limit: Int) {
        self.name = name
        self.limit = limit
        queues = (0..<threads).map { DispatchQueue(label: "\(name).\($0)") }
        timers = DispatchQueue(label: "\(name).timers")
        state = Mutex(State(waiting: Array(repeating: 0, count: threads)))
    }

    /// Runs `body` on one of the threads.
    ///
    /// - Throws: what `body` throws; `WireError` `unavailable` when too many calls wait or `timeout` passes (then `body` may
    ///   still be running, and its result is dropped).
    public func run<Value: Sendable>(
        timeout: Duration = .seconds(10), _ what: String, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        guard let index = reserve() else {
            throw WireError(.unavailable, "\(what): \(limit) calls wait already in \(name)")
        }
        let outcome = Outcome<Value>()
        return try await withCheckedThrowingContinuation { continuation in
            outcome.arm(continuation)
            let timer = DispatchWorkItem {
                outcome.finish(
                    .failure(WireError(.unavailable, "\(what): no answer within \(timeout.inSeconds) s")))
            }
            timers.asyncAfter(deadline: .now() + timeout.inSeconds, execute: timer)
            let cancelTimer = UncheckedTimer(timer)
            queues[index].async {
                outcome.finish(Result { try body() })
                cancelTimer.item.cancel()
                self.state.withLock { $0.waiting[index] -= 1 }
            }
        }
    }

    /// The least busy thread's index, or nil when all queues are full.
    private func reserve() -> Int? {
        state.withLock { state in
            var best = state.next
            for offset in 0..<state.waiting.count {
                let index = (state.next + offset) % state.waiting.count
                if state.waiting[index] < state.waiting[best] { best = index }
            }
            state.next = (best + 1) % state.waiting.count
            guard state.waiting[best] < max(1, limit / state.waiting.count) else { return nil }
            state.waiting[best] += 1
            return best
        }
    }
}

/// DispatchWorkItem's `cancel` may be called from any thread; its type does not say so.
private struct UncheckedTimer: @unchecked Sendable {
    let item: DispatchWorkItem
    init(_ item: DispatchWorkItem) { self.item = item }
}

/// A continuation that the first of several finishers resumes.
private final class Outcome<Value: Sendable>: Sendable {
    private let continuation = Mutex<CheckedContinuation<Value, any Error>?>(nil)

    func arm(_ value: CheckedContinuation<Value, any Error>) { continuation.withLock { $0 = value } }

    func finish(_ result: Result<Value, any Error>) {
        let waiting = continuation.withLock { stored in
            defer { stored = nil }
            return stored
        }
        waiting?.resume(with: result)
    }
}
