internal import CLinux
internal import Glibc

/// One program with remote memory, from its start to its end.
struct ProgramRun {
    /// How long a program that lost its memory may take to end by itself.
    private static let graceAfterLoss = Duration.seconds(5)
    /// How often leases are looked at.
    private static let lookMilliseconds: Int32 = 100

    var path: String
    var arguments: [String]
    var environment: [String: String]
    var donors: (any DonorSource)?
    var isDurable: Bool

    /// Runs it, and blocks until it ends.
    /// - Returns: its exit status, or 128+n when signal n ended it.
    func status() throws(RunRefusal) -> Int32 {
        defer { donors?.release() }
        let child = try start()
        _ = clinux_forward_signals(child)
        defer { clinux_forward_stop() }
        return follow(child)
    }

    /// Signals are not blocked in the program, and do what they do by default.
    private func start() throws(RunRefusal) -> pid_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var words = arguments.map { strdup($0) } + [nil]
        var names = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + names { free(text) } }
        var child: pid_t = 0
        let error = posix_spawn(&child, path, nil, &attributes, &words, &names)
        guard error == 0 else {
            throw RunRefusal(
                RunRefusal.notRunnable, "\(arguments[0]) could not be started: \(String(cString: strerror(error)))")
        }
        return child
    }

    private func follow(_ child: pid_t) -> Int32 {
        let handle = clinux_pidfd_open(child)
        defer { if handle >= 0 { close(handle) } }
        var killAt: ContinuousClock.Instant?
        var isLost = false
        while true {
            var watched = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
            poll(&watched, handle >= 0 ? 1 : 0, Self.lookMilliseconds)
            var value: Int32 = 0
            switch clinux_reap(child, &value) {
            case Int32(CLINUX_EXIT_CODE): return value
            case Int32(CLINUX_EXIT_SIGNAL):
                if !isLost, let loss = donors?.loss() { printError("fallow run: remote memory is gone: \(loss)") }
                return 128 + value
            case Int32(CLINUX_EXIT_RUNNING): break
            default: return 255
            }
            if let killAt, .now >= killAt { kill(child, SIGKILL) }
            guard !isLost, let loss = donors?.loss() else { continue }
            isLost = true
            if isDurable {
                printError("fallow run: remote memory is gone: \(loss); \(arguments[0]) goes on with its copy on disk")
            } else {
                printError("fallow run: remote memory is gone: \(loss); \(arguments[0]) is ended")
                kill(child, SIGTERM)
                killAt = .now + Self.graceAfterLoss
            }
        }
    }
}
