internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What the reader's process writes for each line it reads: a JSON object in a line.
struct SlurmReply: Codable {
    var snapshot: SlurmSnapshot?
    var error: String?
}

/// The process that talks to libslurm, so that its stalls and its `exit` are not ours.
public enum SlurmReaderChild {
    /// Answers each line on standard input with a snapshot, and ends when standard input does.
    public static func run() -> Never {
        signal(SIGPIPE, SIG_DFL)
        for descriptor in 3..<1024 as Range<Int32> { close(descriptor) }
        endWithParent()
        var reader: SlurmReader?
        while readLine(strippingNewline: true) != nil {
            var reply = SlurmReply()
            do {
                let current = try reader ?? SlurmReader()
                reader = current
                reply.snapshot = try current.snapshot()
            } catch {
                reply.error = "\(error)"
            }
            guard var line = try? JSONEncoder().encode(reply) else { exit(1) }
            line.append(10)
            var done = 0
            while done < line.count {
                let count = line.withUnsafeBytes { write(1, $0.baseAddress! + done, $0.count - done) }
                if count < 0 {
                    if errno == EINTR { continue }
                    exit(1)
                }
                done += count
            }
        }
        exit(0)
    }

    /// Ends this process as soon as standard input hangs up, also while libslurm waits: it tries for a minute to read
    /// slurm.conf.
    private static func endWithParent() {
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { _ in
                var input = pollfd(fd: 0, events: 0, revents: 0)
                while true {
                    if poll(&input, 1, -1) > 0 { _exit(0) }
                }
            }, nil)
        if status != 0 { exit(1) }
    }
}
