internal import Synchronization

/// The client's end of one worker, whatever its transport. Thread-safe.
///
/// The transport is chosen when the lease opens; a call costs one class dispatch for sending and one for a batch of polls.
class WorkerConnection: @unchecked Sendable {
    /// What became of an attempt to send.
    enum Admission {
        case taken
        /// Every slot is in flight.
        case full
        /// The connection is over.
        case over
    }

    /// Calls in flight, for choosing among workers; a hint unless the lock is held.
    let callsInFlight = Atomic<Int>(0)
    /// Those of them that wait for their function's index: they start when somebody takes in the worker's answer.
    let callsUnsent = Atomic<Int>(0)

    /// Starts a call; `input` is copied before this returns. Never blocks for long: another thread may hold the lock while
    /// it sleeps, at most `longestTurn`.
    func submit(_ call: Call, input: UnsafeRawBufferPointer) -> Admission { fatalError("abstract") }

    /// Takes in replies: polls up to `polls` times or until `call` is done.
    /// - Returns: false when another thread is at it.
    func progress(until call: Call?, polls: Int) -> Bool { fatalError("abstract") }

    /// Takes a turn at watching the worker: sleeps until something may have arrived or the time-out passed.
    /// - Returns: false when another thread has the turn.
    func sleepTurn(atMostNanoseconds timeout: Int64) -> Bool { fatalError("abstract") }

    /// Nobody wants the call's result any more; its slot stays in quarantine until the late reply comes.
    func abandon(_ call: Call) { fatalError("abstract") }

    /// Ends the connection; calls in flight end as what is known of them says.
    func end() { fatalError("abstract") }
}
