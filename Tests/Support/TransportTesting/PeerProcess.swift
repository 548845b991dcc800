public import Glibc

/// The helper program, as an executor in a process of its own. Killed when the object goes.
public final class PeerProcess: @unchecked Sendable {
    public let id: pid_t
    /// Its first line.
    public let greeting: String
    private var isReaped = false

    struct Failure: Error { let description: String }

    /// - Parameter launcher: what starts it, with arguments: `ip netns exec NAME`, say.
    public init(_ arguments: [String], descriptor: CInt? = nil, launcher: [String] = []) throws {
        guard let path = Self.path else { throw Failure(description: "transport-peer is not beside the tests") }
        var pipes: [CInt] = [0, 0]
        guard pipe(&pipes) == 0 else { throw Failure(description: "no pipe") }
        for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(pipes[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO)
        // A copy above 3 first: duplicating a descriptor onto itself would leave it close-on-exec.
        let high = descriptor.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
        if let high { posix_spawn_file_actions_adddup2(&actions, high, 3) }
        var child: pid_t = 0
        let words = launcher + [path] + arguments
        var argv = words.map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        let code = posix_spawn(&child, words[0], &actions, nil, &argv, nil)
        close(pipes[1])
        // Any close of a descriptor of the arena drops this process's locks on it, but there are none yet.
        if let high { close(high) }
        guard code == 0 else { throw Failure(description: "cannot start transport-peer") }
        id = child
        var line = [UInt8]()
        var byte: UInt8 = 0
        while read(pipes[0], &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        greeting = String(decoding: line, as: UTF8.self)
    }

    public func signal(_ number: CInt) { kill(id, number) }

    /// Waits for its end; gives the exit code, or the negated signal.
    @discardableResult public func reap() -> CInt {
        var status: CInt = 0
        waitpid(id, &status, 0)
        isReaped = true
        return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
    }

    deinit {
        if !isReaped {
            kill(id, SIGKILL)
            var status: CInt = 0
            waitpid(id, &status, 0)
        }
    }

    private static let path: String? = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        return access(path + "/transport-peer", X_OK) == 0 ? path + "/transport-peer" : nil
    }()
}
