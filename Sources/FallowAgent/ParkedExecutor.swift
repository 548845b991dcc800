internal import FallowHost
internal import FallowLocal
internal import FallowWire
internal import Glibc

/// An executor without a lease, with everything of ours that belongs to it. Confined to the event loop's thread.
///
/// It holds nothing of any user and takes one lease in its life. Whoever has it either makes it a `RunningExecutor` or calls
/// `end`.
final class ParkedExecutor {
    let cgroup: LeaseCgroup
    let process: ProcessHandle
    /// Our end of its control socket. Closing it ends the executor.
    let control: LocalConnection
    let output: OutputTail
    /// What it loads ahead.
    let prepares: TransportKind?
    /// Whether it stood ready before its lease was asked for.
    var wasParked = false
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

    /// Calls `onWord` when it says that it has made ready, and `onLoss` when it dies; until `unwatch`.
    func watch(onWord: @escaping () -> Void, onLoss: @escaping () -> Void) throws(LocalError) {
        watches.append(
            try loop.watch(control.descriptor, .readable) { [weak self] _ in
                guard let self else { return }
                var buffer = [UInt8](repeating: 0, count: 4096)
                let received = buffer.withUnsafeMutableBytes { bytes in try? control.receive(into: bytes) }
                guard let received, received.count > 0 else { return onLoss() }
                for descriptor in received.descriptors { close(descriptor) }
                onWord()
            })
        if process.descriptor >= 0 {
            watches.append(try loop.watch(process.descriptor, .readable) { _ in onLoss() })
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
