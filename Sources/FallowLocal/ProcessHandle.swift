internal import CLinux
internal import Glibc

/// How a process ended.
public enum ProcessExit: Hashable, Sendable, CustomStringConvertible {
    case exited(code: Int32)
    case signaled(number: Int32)

    public var description: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .signaled(let number): "ended by signal \(number)"
        }
    }
}

/// A process that cannot be confused with another: a pidfd where the kernel has it (5.3 and newer).
///
/// For a child it also reaps; for another's process it only notices the end. One owner, one thread at a time.
public final class ProcessHandle: @unchecked Sendable {
    public let pid: Int32
    /// Polls readable once the process has ended; -1 where the kernel has no pidfd or the handle is closed.
    public private(set) var descriptor: Int32
    /// Set once `checkExit` or `wait` has seen the end of a child.
    public private(set) var exit: ProcessExit?
    private var isChild: Bool

    /// A child of this process, whose pidfd (from `spawn`) this handle takes over; -1 when there is none.
    public init(child pid: Int32, descriptor: Int32) {
        self.pid = pid
        self.descriptor = descriptor
        isChild = true
    }

    /// Some process, not necessarily a child. Verify who it is *after* this returns, since a pid may have been reused before.
    /// - Throws: `.notListening` when there is no such process (its code is `.system` otherwise).
    public init(process pid: Int32) throws(LocalError) {
        let opened = clinux_pidfd_open(pid)
        guard opened >= 0 || opened == -ENOSYS else {
            throw LocalError(
                opened == -ESRCH ? .notListening : .system, "cannot watch process \(pid)", errorNumber: -opened)
        }
        self.pid = pid
        descriptor = max(-1, opened)
        isChild = false
    }

    deinit { close() }

    /// Closes the pidfd. A child that has not ended is not reaped.
    public func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Sends a signal. Harmless when the process has ended.
    public func signal(_ number: Int32) {
        guard exit == nil else { return }
        if descriptor >= 0 {
            _ = clinux_pidfd_signal(descriptor, number)
        } else if isChild {
            kill(pid, number)  // not reaped yet, so the pid is still its own
        }
    }

    /// Whether the process has ended, without blocking; reaps a child.
    /// - Returns: nil while it runs. For a process that is no child the exit is unknown and given as `.exited(code: -1)`.
    public func checkExit() -> ProcessExit? {
        if let exit { return exit }
        if isChild {
            var value: Int32 = 0
            let kind = clinux_reap(pid, &value)
            switch kind {
            case Int32(CLINUX_EXIT_RUNNING): return nil
            case Int32(CLINUX_EXIT_CODE): exit = .exited(code: value)
            case Int32(CLINUX_EXIT_SIGNAL): exit = .signaled(number: value)
            default: exit = .exited(code: -1)  // somebody else reaped it
            }
        } else if descriptor >= 0 {
            if waitReady(descriptor, for: POLLIN, until: 0) { exit = .exited(code: -1) }
        } else if kill(pid, 0) != 0, errno == ESRCH {
            exit = .exited(code: -1)
        }
        return exit
    }

    /// Waits for the end, at most for the time-out. Blocks.
    /// - Returns: nil when the process still runs.
    public func wait(timeout: Duration) -> ProcessExit? {
        let deadline = deadlineNanoseconds(after: timeout)
        while true {
            if let exit = checkExit() { return exit }
            if descriptor >= 0 {
                if !waitReady(descriptor, for: POLLIN, until: deadline) { return checkExit() }
            } else {
                guard monotonicNanoseconds() < deadline else { return nil }
                usleep(1000)
            }
        }
    }

    /// Calls the handler once, on the loop's thread, when the process has ended.
    ///
    /// Where the kernel has no pidfd the process is looked at every 20 ms.
    /// - Returns: the registration, for `EventLoop.cancel`. It keeps this handle alive until the handler has run.
    @discardableResult
    public func watch(
        in loop: EventLoop, _ handler: @escaping (ProcessExit) -> Void
    ) throws(LocalError) -> EventLoop.Token {
        final class Registration { var token: EventLoop.Token? }
        let registration = Registration()
        let check = { [self] in
            guard let exit = checkExit() else { return }
            if let token = registration.token { loop.cancel(token) }
            handler(exit)
        }
        let token =
            descriptor >= 0
            ? try loop.watch(descriptor, .readable) { _ in check() }
            : loop.after(.zero, repeating: .milliseconds(20), check)
        registration.token = token
        return token
    }
}
