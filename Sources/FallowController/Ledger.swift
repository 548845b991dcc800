internal import Dispatch
internal import FallowControl
internal import FallowHistory
internal import FallowWire
internal import Logging
internal import Synchronization

/// The one writer of the history: in the order of the calls, off the event loops, and never in the way of lending.
///
/// When the disk fails, lending goes on: the problem is logged once and shown by `/v1/health` until a write succeeds.
final class Ledger: Sendable {
    private let history: History
    private let logger: Logger
    private let queue = DispatchQueue(label: "fallow.ledger")
    private let readers = BlockingPool(name: "fallow.history", threads: 2, limit: 256)
    private static let limit = 10_000

    private struct State {
        var waiting = 0
        var problem: String?
    }
    private let state = Mutex(State())

    init(history: History, logger: Logger) {
        self.history = history
        self.logger = logger
    }

    /// What keeps the history from being written; nil when all is well.
    var problem: String? { state.withLock { $0.problem } }

    /// Queues a write. It is dropped, and said so, when too many wait or it fails.
    func write(_ body: @escaping @Sendable (History) throws -> Void) {
        let room = state.withLock { state in
            guard state.waiting < Self.limit else { return false }
            state.waiting += 1
            return true
        }
        guard room else { return note("the history is behind by \(Self.limit) writes: this one is dropped") }
        queue.async { [self] in
            defer { state.withLock { $0.waiting -= 1 } }
            do {
                try body(history)
                note(nil)
            } catch {
                note("\(error)")
            }
        }
    }

    /// Writes and waits for the outcome, behind what was queued before.
    func writeNow(_ body: @escaping @Sendable (History) throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            queue.async { [self] in
                do {
                    try body(history)
                    note(nil)
                    done.resume()
                } catch {
                    note("\(error)")
                    done.resume(throwing: WireError(.unavailable, "\(error)"))
                }
            }
        }
    }

    /// Reads, behind nothing: what is still queued may be missing.
    func read<Value: Sendable>(_ body: @escaping @Sendable (History) throws -> Value) async throws -> Value {
        do {
            return try await readers.run("read the history") { [history] in try body(history) }
        } catch let error as HistoryError {
            throw WireError(.unavailable, error.description)
        }
    }

    /// Waits until everything that was queued is written.
    func settle() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in queue.async { done.resume() } }
    }

    private func note(_ problem: String?) {
        let before = state.withLock { state in
            let before = state.problem
            state.problem = problem
            return before
        }
        guard before != problem else { return }
        if let problem { logger.error("\(problem)") } else { logger.notice("the history is written again") }
    }
}
