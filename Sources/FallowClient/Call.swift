internal import CLinux
internal import Glibc
internal import Synchronization

/// One invocation under way: where its result goes, and what became of it.
///
/// Everything but `progress` belongs to whoever holds the worker's lock, until the call is done; then nothing changes any
/// more and everybody may read.
final class Call: @unchecked Sendable {
    private static let pending: UInt32 = 0
    private static let pendingWithSleeper: UInt32 = 1
    private static let done: UInt32 = 2

    let function: Int
    let capacityBytes: Int
    unowned(unsafe) let worker: WorkerConnection
    /// Where the result goes; nil when nobody wants it any more.
    private(set) var output: UnsafeMutableRawPointer?
    /// Whether `output` is ours, and ends with this object.
    private let ownsOutput: Bool
    private(set) var outcome: Result<InvocationResult, FallowError> = .failure(FallowError(.internalError, "not done"))
    private let progress = Atomic<UInt32>(Call.pending)

    /// - Parameter output: the caller's memory for the result; nil to have the call bring its own.
    init(worker: WorkerConnection, function: Int, output: UnsafeMutableRawPointer?, capacityBytes: Int) {
        self.worker = worker
        self.function = function
        self.capacityBytes = capacityBytes
        ownsOutput = output == nil
        self.output = output ?? .allocate(byteCount: max(capacityBytes, 1), alignment: 16)
    }

    deinit { if ownsOutput { output?.deallocate() } }

    var isDone: Bool { progress.load(ordering: .acquiring) == Self.done }
    /// Whether a thread sleeps until this is done, without watching the worker itself.
    var hasSleeper: Bool { progress.load(ordering: .relaxed) == Self.pendingWithSleeper }

    /// Settles the call. Under the worker's lock, once.
    func complete(_ outcome: Result<InvocationResult, FallowError>) {
        self.outcome = outcome
        if progress.exchange(Self.done, ordering: .sequentiallyConsistent) == Self.pendingWithSleeper { wakeSleepers() }
    }

    /// The result is not wanted any more, and the caller's memory is not to be touched. Under the worker's lock.
    func abandon() { if !ownsOutput { output = nil } }
    var isAbandoned: Bool { output == nil }

    /// Sleeps until the call is done, somebody wakes it, or the time-out passed.
    func sleep(atMostNanoseconds timeout: Int64) {
        let (exchanged, original) = progress.compareExchange(
            expected: Self.pending, desired: Self.pendingWithSleeper, ordering: .sequentiallyConsistent)
        guard exchanged || original == Self.pendingWithSleeper else { return }
        withWord { _ = clinux_futex_wait($0, Self.pendingWithSleeper, timeout) }
    }

    func wakeSleepers() { withWord { _ = clinux_futex_wake($0, .max) } }

    private func withWord(_ body: (UnsafeRawPointer) -> Void) {
        withUnsafePointer(to: progress) { body(UnsafeRawPointer($0)) }
    }
}

/// What a function gave back.
public struct InvocationResult: Hashable, Sendable {
    /// Bytes of result.
    public var byteCount: Int
    /// What the function returned; 0 for rFaaS functions.
    public var returnValue: Int32
}
