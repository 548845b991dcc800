internal import CLinux
internal import Glibc
internal import Synchronization

typealias CallPointer = UnsafeMutablePointer<CallRecord>

/// One invocation under way: what goes there, where its result goes, and what became of it.
///
/// A record lies on the stack of the thread that waits for it, or in the lease's pool as a future's. Everything but
/// `progress` belongs to whoever holds the worker's lock until the call is done; then nothing changes any more, and the
/// record is its owner's alone: whoever settles it does not touch it after `complete`.
struct CallRecord: ~Copyable {
    /// What became of a call.
    enum Outcome: UInt8 {
        case underWay, returned, unknownFunction, resultTooLarge, malformed
        /// The connection ended before the call was started.
        case notStarted
        /// The connection ended while it may have been running.
        case unknown
    }
    private enum Progress {
        static let pending: UInt32 = 0
        /// A thread sleeps on `progress`.
        static let asleep: UInt32 = 1
        /// A thread sleeps on the worker's event.
        static let watching: UInt32 = 2
        static let done: UInt32 = 3
    }

    private let progress = Atomic<UInt32>(Progress.pending)
    /// Its number among the lease's functions.
    let function: Int32
    private(set) var outcome = Outcome.underWay
    /// Whether `input` was copied for this call.
    private(set) var ownsInput = false
    /// Whether it lies in a slot; then `sequence` says in which.
    var isSent = false
    var sequence: UInt32 = 0
    /// What the function returned.
    private(set) var returnValue: Int32 = 0
    private(set) var input: UnsafeRawPointer?
    let inputBytes: Int
    /// Where the result goes; nil when it is not copied (a buffer of the arena, or no bytes are wanted).
    let output: UnsafeMutableRawPointer?
    let capacityBytes: Int
    /// Where input and output lie in the lease's buffers, with calls through buffers.
    let places: BufferPlaces
    /// Bytes of result, or that it would need.
    private(set) var resultBytes = 0
    /// The call behind it, among those that wait to be sent; or the next free record of the pool.
    var next: CallPointer?
    /// Whose it is, once it was taken by a worker.
    var worker: Unmanaged<WorkerConnection>?
    /// With futures: their lease, which they keep.
    var lease: Unmanaged<Lease>?

    @inline(__always) init(
        function: Int32, input: UnsafeRawBufferPointer, output: UnsafeMutableRawPointer?, capacityBytes: Int,
        places: BufferPlaces = .none
    ) {
        self.function = function
        self.input = input.baseAddress
        inputBytes = input.count
        self.output = output
        self.capacityBytes = capacityBytes
        self.places = places
    }

    @inline(__always) var isDone: Bool { progress.load(ordering: .acquiring) == Progress.done }

    /// Keeps a copy of the input until the call is sent or given up.
    mutating func copyInput() {
        guard !ownsInput, inputBytes > 0, let source = input else { return }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: inputBytes, alignment: 16)
        copy.copyMemory(from: source, byteCount: inputBytes)
        input = UnsafeRawPointer(copy)
        ownsInput = true
    }

    mutating func dropInput() {
        if ownsInput { input?.deallocate() }
        ownsInput = false
        input = nil
    }

    /// Settles the call, once, under the worker's lock; the record is not to be touched afterwards.
    /// - Returns: whether its thread sleeps on the worker's event and has to be woken there.
    @inline(__always) mutating func complete(_ outcome: Outcome, resultBytes: Int = 0, returnValue: Int32 = 0) -> Bool {
        self.outcome = outcome
        self.resultBytes = resultBytes
        self.returnValue = returnValue
        let word = withUnsafePointer(to: progress) { UnsafeRawPointer($0) }
        let before = progress.exchange(Progress.done, ordering: .acquiringAndReleasing)
        if before == Progress.asleep { _ = clinux_futex_wake(word, .max) }
        return before == Progress.watching
    }

    // Sleeping: the thread says what it sleeps on under the worker's lock, and sleeps without it.

    /// Says that the thread will sleep on `progress`; false when the call is done.
    func willSleep() -> Bool { announce(Progress.asleep) }
    /// Says that the thread will sleep on the worker's event; false when the call is done.
    func willWatch() -> Bool { announce(Progress.watching) }
    private func announce(_ state: UInt32) -> Bool {
        let (exchanged, now) = progress.compareExchange(
            expected: Progress.pending, desired: state, ordering: .sequentiallyConsistent)
        return exchanged || now != Progress.done
    }
    /// The thread is awake.
    func wakes() {
        for state in [Progress.asleep, Progress.watching] {
            if progress.compareExchange(expected: state, desired: Progress.pending, ordering: .relaxed).exchanged {
                return
            }
        }
    }

    /// Sleeps until somebody wakes the thread or the time-out passed; `willSleep` came before.
    func sleep(atMostNanoseconds timeout: Int64) {
        withUnsafePointer(to: progress) { _ = clinux_futex_wait($0, Progress.asleep, timeout) }
    }

    /// Wakes a thread that sleeps on `progress`, without an outcome; false when none does. Under the worker's lock.
    func wakeSleeper() -> Bool {
        guard
            progress.compareExchange(expected: Progress.asleep, desired: Progress.pending, ordering: .relaxed).exchanged
        else { return false }
        withUnsafePointer(to: progress) { _ = clinux_futex_wake($0, .max) }
        return true
    }
}

/// What a function gave back.
public struct InvocationResult: Hashable, Sendable {
    /// Bytes of result.
    public var byteCount: Int
    /// What the function returned; 0 for rFaaS functions.
    public var returnValue: Int32
}
