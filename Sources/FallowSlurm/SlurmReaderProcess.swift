internal import FallowModel
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// The parent of the process that talks to libslurm: asks it, waits for a bounded time, and replaces it when it hangs.
///
/// Not thread-safe: one owner, one call at a time, each blocking for at most its time-out.
public final class SlurmReaderProcess {
    private let program: String
    private let arguments: [String]
    private var child: (pid: pid_t, toChild: Int32, fromChild: Int32, errors: Int32)?
    private var buffer: [UInt8] = []
    private static let largestReply = 256 << 20

    /// - Parameter program: an executable that calls `SlurmReaderChild.run`: fallow-slurm-reader.
    public init(program: String, arguments: [String] = []) {
        self.program = program
        self.arguments = arguments
    }

    deinit { stop() }

    /// Asks for what slurmctld knows. Blocks for at most `timeout`.
    ///
    /// - Throws: `SlurmError`: slurmctld or libslurm does not answer; the process is ended when it hangs, and started anew
    ///   with the next call.
    public func read(timeout: Duration) throws -> SlurmSnapshot {
        let deadline = ContinuousClock.now + timeout
        let child = try child ?? start()
        self.child = child
        var newline: UInt8 = 10
        buffer.removeAll(keepingCapacity: true)
        guard Self.withoutSIGPIPE({ Glibc.write(child.toChild, &newline, 1) }) == 1 else { throw died() }
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let rest = deadline - ContinuousClock.now
            guard rest > .zero else {
                throw failed("slurmctld did not answer within \(timeout.inSeconds) s")
            }
            var watched = pollfd(fd: child.fromChild, events: Int16(POLLIN), revents: 0)
            let milliseconds = rest.components.seconds * 1000 + rest.components.attoseconds / 1_000_000_000_000_000
            let ready = poll(&watched, 1, Int32(clamping: milliseconds + 1))
            if ready < 0, errno != EINTR { throw died() }
            guard ready > 0 else { continue }
            let count = Glibc.read(child.fromChild, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw died() }
            buffer += chunk[0..<count]
            if buffer.last == 10 { break }
            guard buffer.count < Self.largestReply else {
                stop()
                throw SlurmError("the reader of slurmctld sent too much")
            }
        }
        guard let reply = try? JSONDecoder().decode(SlurmReply.self, from: Data(buffer)) else {
            stop()
            throw SlurmError("the reader of slurmctld sent no snapshot")
        }
        if let snapshot = reply.snapshot { return snapshot }
        throw SlurmError(reply.error ?? "the reader of slurmctld sent nothing")
    }

    /// Writes with SIGPIPE blocked on this thread, and takes the signal away if it came: EPIPE says enough.
    private static func withoutSIGPIPE(_ body: () -> Int) -> Int {
        var pipe = sigset_t()
        var old = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, &old)
        let result = body()
        var none = timespec()
        if result < 0 { while sigtimedwait(&pipe, nil, &none) < 0, errno == EINTR {} }
        pthread_sigmask(SIG_SETMASK, &old, nil)
        return result
    }

    /// Ends the process and reaps it.
    public func stop() {
        guard let child else { return }
        self.child = nil
        kill(child.pid, SIGKILL)
        for descriptor in [child.toChild, child.fromChild, child.errors] { close(descriptor) }
        var status: Int32 = 0
        while waitpid(child.pid, &status, 0) < 0, errno == EINTR {}
    }

    /// The process ended by itself, as libslurm makes it do when it cannot read slurm.conf.
    private func died() -> SlurmError { failed("libslurm ended its process") }

    /// Ends the process; the error has libslurm's last words.
    private func failed(_ what: String) -> SlurmError {
        var words = [UInt8](repeating: 0, count: 4000)
        var count = 0
        if let child { count = max(0, Glibc.read(child.errors, &words, words.count)) }
        stop()
        let lines = String(decoding: words[0..<count], as: UTF8.self).split(separator: "\n")
        return SlurmError(what + (lines.last.map { ": libslurm said: \($0)" } ?? ""))
    }

    private func start() throws -> (pid: pid_t, toChild: Int32, fromChild: Int32, errors: Int32) {
        var pipes: [Int32] = []
        for _ in 0..<3 {
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0 else {
                for descriptor in pipes { close(descriptor) }
                throw SlurmError("cannot make a pipe: \(String(cString: strerror(errno)))")
            }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            pipes += ends
        }
        // What libslurm says is read when the process died; until then it must never block on it.
        for descriptor in pipes[4...5] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipes[0], 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[3], 1)
        posix_spawn_file_actions_adddup2(&actions, pipes[5], 2)
        var arguments: [UnsafeMutablePointer<CChar>?] = ([program] + self.arguments).map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        // The threads of Dispatch block signals, and this process ignores some: the child shall do neither.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGTERM, SIGINT, SIGPIPE] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var pid: pid_t = 0
        let status = posix_spawn(&pid, program, &actions, &attributes, arguments, environ)
        for index in [0, 3, 5] { close(pipes[index]) }
        guard status == 0 else {
            for index in [1, 2, 4] { close(pipes[index]) }
            throw SlurmError("cannot start \(program): \(String(cString: strerror(status)))")
        }
        return (pid, pipes[1], pipes[2], pipes[4])
    }
}
