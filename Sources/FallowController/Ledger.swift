internal import Dispatch
internal import FallowControl
internal import FallowHistory
internal import FallowModel
internal import FallowReporting
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
        /// Writes that failed or were dropped, not yet in the history; and ever.
        var lost = 0
        var lostSince: Timestamp?
        var lostReason = ""
        var lostEver = 0
    }
    private let state = Mutex(State())

    init(history: History, logger: Logger) {
        self.history = history
        self.logger = logger
    }

    /// What keeps the history from being written; nil when all is well.
    var problem: String? { state.withLock { $0.problem } }
    /// Writes that were lost since this program's start.
    var lost: Int { state.withLock { $0.lostEver } }
    var counters: HistoryCounters { history.counters }
    var sizeBytes: Int64 { history.sizeBytes }

    /// Queues a write. It is dropped, and said so, when too many wait or it fails.
    func write(_ body: @escaping @Sendable (History) throws -> Void) {
        let room = state.withLock { state in
            guard state.waiting < Self.limit else { return false }
            state.waiting += 1
            return true
        }
        guard room else { return lose("the history is behind by \(Self.limit) writes: this one is dropped") }
        queue.async { [self] in
            defer { state.withLock { $0.waiting -= 1 } }
            let before = history.transactions
            do {
                try body(history)
                if history.transactions > before { wrote() }
            } catch {
                lose("\(error)")
            }
        }
    }

    /// Writes what the history has gathered; when that fails nothing is lost but how use was spread over the time.
    func flush() {
        queue.async { [self] in
            let before = history.transactions
            do {
                try history.flush()
                if history.transactions > before { wrote() }
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
                    wrote()
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

    /// Writes what was gathered and waits until that and everything that was queued is written.
    func settleAll() async {
        flush()
        await settle()
    }

    /// Waits until everything that was queued is written.
    func settle() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in queue.async { done.resume() } }
    }

    private func lose(_ problem: String) {
        state.withLock { state in
            state.lost += 1
            state.lostEver += 1
            state.lostSince = state.lostSince ?? .now
            state.lostReason = problem
        }
        note(problem)
    }

    /// A write came through: the history is told what it lost before.
    private func wrote() {
        note(nil)
        let loss = state.withLock { state in
            state.lostSince.map {
                CapacityReport.Loss(since: $0, until: .now, writes: state.lost, reason: state.lostReason)
            }
        }
        guard let loss, (try? history.record(loss)) != nil else { return }
        state.withLock { state in
            state.lost -= loss.writes
            if state.lost == 0 { state.lostSince = nil }
        }
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
