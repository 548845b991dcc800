internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowWire
internal import Glibc

/// An executor without a lease, with everything of ours that belongs to it. Confined to the event loop's thread.
///
/// It runs nothing of any user and takes one lease in its life. Whoever has it either makes it a `RunningExecutor` or calls
/// `end`.
final class ParkedExecutor {
    /// Whom it becomes ahead of his lease, which is being asked for. It serves nobody else from then on.
    struct Engagement {
        let identity: UserIdentity
        /// It sees the machine's mounts as they were when it became him: it waits for his lease no longer than this.
        let until: ContinuousClock.Instant
        /// The request that it was engaged for; nil: that came to nothing, and his next one may have it.
        var request: UInt64?
        /// It has said that it is him.
        var hasEntered = false
    }

    let cgroup: LeaseCgroup
    let process: ProcessHandle
    /// Our end of its control socket. Closing it ends the executor.
    let control: LocalConnection
    let output: OutputTail
    /// What it loads ahead.
    let prepares: TransportKind?
    /// Whether it stood ready before its lease was asked for.
    var wasParked = false
    /// Whom it has been told to become; nil: nobody yet.
    private(set) var engagement: Engagement?
    private let loop: EventLoop
    private var watches: [EventLoop.Token] = []

    /// Takes over what was born. - Throws: when it cannot be watched; it is ended then.
    init(_ born: BornExecutor, prepares: TransportKind?, loop: EventLoop) throws(LocalError) {
        cgroup = born.cgroup
        process = ProcessHandle(child: born.process.pid, descriptor: born.process.descriptor)
        control = born.control
        self.prepares = prepares
        self.loop = loop
        do {
            output = try OutputTail(reading: born.output, loop: loop)
        } catch {
            Self.bury(born.cgroup, process, control, on: loop)
            throw error
        }
    }

    /// Tells it something. Does not block.
    /// - Throws: `.internalError` when its control socket does not take it.
    func tell(_ order: ExecutorOrder, descriptors: [Int32] = []) throws { try tell(encodeJSON(order), descriptors) }

    /// As above, of what is told in another tongue.
    func tell(_ packet: [UInt8], _ descriptors: [Int32]) throws {
        guard try control.send(packet, descriptors: descriptors) != nil else {
            throw WireError(.internalError, "a process's control socket took no assignment")
        }
    }

    /// Has it become a user now.
    func engage(_ identity: UserIdentity, _ entry: ExecutorEntry, for request: UInt64, until: ContinuousClock.Instant)
        throws
    {
        try tell(.become(entry: entry))
        engagement = Engagement(identity: identity, until: until, request: request)
    }

    /// Whether it has become that user for a request that came to nothing.
    func isFree(for user: UserID) -> Bool {
        engagement.map { $0.request == nil && $0.identity.uid == user } ?? false
    }

    /// Says which request it waits for now; nil: none.
    func expect(_ request: UInt64?) { engagement?.request = request }

    /// Calls `onReady` when it says that it has made ready, and `onLoss` when it dies or cannot go on; until `unwatch`.
    func watch(onReady: @escaping () -> Void, onLoss: @escaping (WireError?) -> Void) throws(LocalError) {
        watches.append(
            try loop.watch(control.descriptor, .readable) { [weak self] _ in
                guard let self else { return }
                var buffer = [UInt8](repeating: 0, count: 4096)
                let received = buffer.withUnsafeMutableBytes { bytes in try? control.receive(into: bytes) }
                guard let received, received.count > 0 else { return onLoss(nil) }
                for descriptor in received.descriptors { close(descriptor) }
                let word = try? decodeJSON(ExecutorReport.self, from: Array(buffer[..<received.count]))
                guard let word, word.error == nil else { return onLoss(word?.error) }
                if word.hasEntered == true { engagement?.hasEntered = true }
                if word.isPrepared == true { onReady() }
            })
        if process.descriptor >= 0 {
            watches.append(try loop.watch(process.descriptor, .readable) { _ in onLoss(nil) })
        }
    }

    func unwatch() {
        for watch in watches { loop.cancel(watch) }
        watches = []
    }

    /// Ends it: nothing of it is left a moment later. It holds nothing that anybody misses.
    func end() {
        unwatch()
        output.close()
        Self.bury(cgroup, process, control, on: loop)
    }

    private static func bury(
        _ cgroup: LeaseCgroup, _ process: ProcessHandle, _ control: LocalConnection, on loop: EventLoop
    ) {
        process.signal(SIGKILL)
        control.close()
        func tryRemoving() {
            if process.checkExit() != nil, (try? cgroup.remove()) != nil {
                process.close()
            } else {
                loop.after(.milliseconds(20)) { tryRemoving() }
            }
        }
        tryRemoving()
    }
}
