internal import FallowTransport
internal import Synchronization
internal import TransportShm

/// The client's end of one worker, whatever its transport. Thread-safe.
///
/// The transport is chosen when the lease opens; a call costs one class dispatch.
class WorkerConnection: @unchecked Sendable {
    /// What became of an attempt to send.
    enum Admission {
        case taken
        /// Every slot is in flight.
        case full
        /// The connection is over.
        case over
    }

    /// What others see without the lock.
    let counts: UnsafeMutablePointer<WorkerCounts>

    init(counts: UnsafeMutablePointer<WorkerCounts>) { self.counts = counts }

    /// Whether the worker is known to sleep; waking it costs more than one that polls.
    var isPeerAsleep: Bool { fatalError("abstract") }

    /// Starts a call and looks for its reply for a few microseconds. A call for which there is no slot waits for its turn;
    /// the caller has to wait for it then, or abandon it: its input is not copied before it is sent.
    func call(_ call: CallPointer) -> Admission { fatalError("abstract") }

    /// Starts calls, with one doorbell for all of them; their inputs are copied before this returns. Never blocks for long.
    /// - Returns: how many were taken; what stopped it, when that is not all.
    func submit(_ calls: UnsafeBufferPointer<CallPointer>) -> (count: Int, Admission) { fatalError("abstract") }

    /// Takes in replies: polls up to `polls` times or until `call` is done.
    /// - Returns: false when another thread is at it.
    func progress(until call: CallPointer?, polls: Int) -> Bool { fatalError("abstract") }

    /// Makes the calling thread the one that watches the worker for everybody; false when there is one.
    func startWatching() -> Bool { fatalError("abstract") }
    /// The thread watches no more; another takes over, if one waits.
    func stopWatching() { fatalError("abstract") }

    /// Sleeps until something may have arrived or the time-out passed; for the thread that watches.
    func sleepWatching(for call: CallPointer, atMostNanoseconds timeout: Int64) { fatalError("abstract") }
    /// Sleeps until the call is done, the thread has to take over the watch, or the time-out passed.
    func sleepUnwatched(for call: CallPointer, atMostNanoseconds timeout: Int64) { fatalError("abstract") }

    var sleepsOnWord: Bool { fatalError("abstract") }
    /// Says that this thread will sleep until the worker answers, and on which futex word; nil when it must not sleep, or when
    /// the transport has no such word. Else `endSleep` has to follow.
    func beginSleep(for call: CallPointer) -> UnsafeRawPointer? { fatalError("abstract") }
    func endSleep(for call: CallPointer) { fatalError("abstract") }

    /// Nobody wants the call's result any more; its slot stays in quarantine until the late reply comes.
    func abandon(_ call: CallPointer) { fatalError("abstract") }

    /// Ends the connection; calls in flight end as what is known of them says.
    func end() { fatalError("abstract") }
}

/// Hints for choosing among workers.
struct WorkerCounts: ~Copyable {
    let callsInFlight = Atomic<Int>(0)
    /// Those of them that wait to be sent: somebody has to take in the worker's answers for that.
    let callsUnsent = Atomic<Int>(0)
}

/// A worker's connection over one kind of endpoint. What is called for each invocation is compiled for the endpoint where
/// a subclass names it (`ShmConnection`), and looked up at run time else, which costs some tens of nanoseconds.
final class EndpointConnection<Connection: Endpoint & ~Copyable>: WorkerConnection, @unchecked Sendable {
    private let core: WorkerCore<Connection>

    init(
        endpoint: consuming Connection, names: FunctionNames, fate: LeaseFate, agent: AgentConnection,
        buffers: BufferArea? = nil
    ) {
        core = WorkerCore(endpoint: endpoint, names: names, buffers: buffers, fate: fate, agent: agent)
        super.init(counts: core.counts)
        core.attach(to: self)
    }
    deinit { core.destroy() }

    override var isPeerAsleep: Bool { core.isPeerAsleep }
    override func call(_ call: CallPointer) -> Admission { core.call(call) }
    override func submit(_ calls: UnsafeBufferPointer<CallPointer>) -> (count: Int, Admission) { core.submit(calls) }
    override func progress(until call: CallPointer?, polls: Int) -> Bool { core.progress(until: call, polls: polls) }
    override func startWatching() -> Bool { core.startWatching() }
    override func stopWatching() { core.stopWatching() }
    override func sleepWatching(for call: CallPointer, atMostNanoseconds timeout: Int64) {
        core.sleepWatching(for: call, atMostNanoseconds: timeout)
    }
    override func sleepUnwatched(for call: CallPointer, atMostNanoseconds timeout: Int64) {
        core.sleepUnwatched(for: call, atMostNanoseconds: timeout)
    }
    override var sleepsOnWord: Bool { core.sleepsOnWord }
    override func beginSleep(for call: CallPointer) -> UnsafeRawPointer? { core.beginSleep(for: call) }
    override func endSleep(for call: CallPointer) { core.endSleep(for: call) }
    override func abandon(_ call: CallPointer) { core.abandon(call) }
    override func end() { core.end() }
}

/// The same over shared memory, compiled for it.
final class ShmConnection: WorkerConnection, @unchecked Sendable {
    private let core: WorkerCore<ShmEndpoint>

    init(
        endpoint: consuming ShmEndpoint, names: FunctionNames, fate: LeaseFate, agent: AgentConnection,
        buffers: BufferArea?
    ) {
        core = WorkerCore(endpoint: endpoint, names: names, buffers: buffers, fate: fate, agent: agent)
        super.init(counts: core.counts)
        core.attach(to: self)
    }
    deinit { core.destroy() }

    override var isPeerAsleep: Bool { core.isPeerAsleep }
    override func call(_ call: CallPointer) -> Admission { core.call(call) }
    override func submit(_ calls: UnsafeBufferPointer<CallPointer>) -> (count: Int, Admission) { core.submit(calls) }
    override func progress(until call: CallPointer?, polls: Int) -> Bool { core.progress(until: call, polls: polls) }
    override func startWatching() -> Bool { core.startWatching() }
    override func stopWatching() { core.stopWatching() }
    override func sleepWatching(for call: CallPointer, atMostNanoseconds timeout: Int64) {
        core.sleepWatching(for: call, atMostNanoseconds: timeout)
    }
    override func sleepUnwatched(for call: CallPointer, atMostNanoseconds timeout: Int64) {
        core.sleepUnwatched(for: call, atMostNanoseconds: timeout)
    }
    override var sleepsOnWord: Bool { core.sleepsOnWord }
    override func beginSleep(for call: CallPointer) -> UnsafeRawPointer? { core.beginSleep(for: call) }
    override func endSleep(for call: CallPointer) { core.endSleep(for: call) }
    override func abandon(_ call: CallPointer) { core.abandon(call) }
    override func end() { core.end() }
}
