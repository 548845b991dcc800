internal import FallowLocal
internal import FallowWire

/// The door from asynchronous code to what is confined to the event loop's thread.
final class LoopDoor<State>: Sendable {
    private let loop: EventLoop
    nonisolated(unsafe) private let state: State

    /// - Parameter state: touched on the loop's thread only from now on.
    init(_ loop: EventLoop, _ state: State) {
        self.loop = loop
        self.state = state
    }

    /// Runs on the loop's thread and waits for the result.
    /// - Throws: `unavailable` when the loop takes no more work: it is stopping, or hopelessly behind.
    func call<Value: Sendable>(_ body: @escaping @Sendable (State) -> Value) async throws(WireError) -> Value {
        do {
            return try await withCheckedThrowingContinuation { continuation in
                if !loop.post({ continuation.resume(returning: body(self.state)) }) {
                    continuation.resume(throwing: WireError(.unavailable, "the agent is stopping"))
                }
            }
        } catch { throw error as? WireError ?? WireError(.internalError, "\(error)") }
    }

    /// Runs on the loop's thread, where `body` gets a function to be called once, later, with the result.
    func callLater<Value: Sendable>(
        _ body: @escaping @Sendable (State, @escaping (Result<Value, WireError>) -> Void) -> Void
    ) async throws(WireError) -> Value {
        do {
            return try await withCheckedThrowingContinuation { continuation in
                if !loop.post({ body(self.state) { continuation.resume(with: $0) } }) {
                    continuation.resume(throwing: WireError(.unavailable, "the agent is stopping"))
                }
            }
        } catch { throw error as? WireError ?? WireError(.internalError, "\(error)") }
    }

    /// Runs on the loop's thread; nobody waits.
    func tell(_ body: @escaping @Sendable (State) -> Void) { loop.post { body(self.state) } }
}
