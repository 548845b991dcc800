internal import Glibc
internal import Synchronization

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// A program that a test runs: started with no signal blocked and no descriptor but the standard ones.
///
/// Foundation's Process gives neither: its children block SIGTERM when Dispatch's threads start them, and hold descriptors
/// of other tests' pipes, which then never end. Its own thread was also seen to spin at a descriptor that somebody else had
/// been given since, until the test process ended: a core less for every test after it.
public final class ChildProcess: Sendable {
    public let pid: Int32
    private let status = Mutex<Int32?>(nil)

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// - Parameters:
    ///   - command: the program, found in PATH when it is not a path, and its arguments.
    ///   - environment: added to this process's own.
    ///   - output: the file that standard output goes to; nil: nowhere.
    ///   - withErrors: whether standard error goes there, too, or nowhere.
    public init(
        _ command: [String], environment: [String: String] = [:], output: String? = nil, withErrors: Bool = true
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
        if withErrors {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        // Closing what is not open is no error here (glibc's spawni.c).
        for descriptor in 3..<1024 as Range<Int32> { posix_spawn_file_actions_addclose(&actions, descriptor) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var arguments = command.map { strdup($0) } + [nil]
        var pairs = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + pairs { free(text) } }
        var pid: pid_t = 0
        let status = posix_spawnp(&pid, command[0], &actions, &attributes, &arguments, &pairs)
        guard status == 0 else {
            throw Failure(description: "cannot start \(command[0]): \(String(cString: strerror(status)))")
        }
        self.pid = pid
    }

    /// Whether it has not ended; reaps it when it has.
    public var isRunning: Bool {
        status.withLock { status in
            guard status == nil else { return false }
            var word: Int32 = 0
            guard waitpid(pid, &word, WNOHANG) == pid else { return true }
            status = word
            return false
        }
    }

    /// The status that it ended with; negative: the signal that ended it. nil while it runs.
    public var exitStatus: Int32? {
        guard !isRunning, let word = status.withLock({ $0 }) else { return nil }
        return word & 0x7f == 0 ? word >> 8 & 0xff : -(word & 0x7f)
    }

    public func signal(_ number: Int32) {
        if isRunning { kill(pid, number) }
    }

    /// Waits for its end; kills it when that does not come.
    public func wait(seconds: Double) throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while isRunning {
            guard ContinuousClock.now < deadline else {
                signal(SIGKILL)
                throw Failure(description: "process \(pid) did not end within \(seconds) s")
            }
            usleep(5000)
        }
    }

    /// Runs a program to its end. - Returns: its status, as `exitStatus`.
    public static func run(_ command: [String], output: String? = nil, withErrors: Bool = true, seconds: Double = 60)
        throws -> Int32?
    {
        let process = try ChildProcess(command, output: output, withErrors: withErrors)
        try process.wait(seconds: seconds)
        return process.exitStatus
    }

    /// Runs a program to its end; what it said on standard output and error.
    public static func output(of command: [String], environment: [String: String] = [:], seconds: Double = 20) throws
        -> String
    {
        let path = "/tmp/fallow-output.\(UInt64.random(in: 0 ... .max))"
        defer { unlink(path) }
        let process = try ChildProcess(command, environment: environment, output: path)
        try process.wait(seconds: seconds)
        return String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}
