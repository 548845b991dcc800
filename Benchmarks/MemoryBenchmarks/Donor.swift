internal import FallowModel
internal import Glibc
internal import TransportShm
internal import TransportStream
internal import TransportVerbs

let capacityBytes = 1 << 27
let lease = LeaseID(1)
let secret = [UInt8](repeating: 1, count: 32)

/// The donor's process: allocates, says so, and serves until it is killed.
func lend(_ what: String) throws -> Never {
    alarm(120)  // the bound, should the borrower die
    if what == "serve-shm" {
        let mapping = try DonorMapping(adopting: 3, capacityBytes: capacityBytes)
        try mapping.prefault()
        print("ready")
        fflush(nil)
        while true { pause() }
    }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacityBytes, alignment: 1 << 21)
    memory.initializeMemory(as: UInt8.self, repeating: 1)
    if what == "serve-verbs" {
        let listener = try VerbsMemoryListener(
            bindAddress: environment("BENCH_RDMA_SERVER") ?? "", leaseID: lease, secret: secret, memory: memory)
        print(listener.address)
        fflush(nil)
        listener.serve { true }
        exit(0)
    }
    let listener = try StreamMemoryListener(
        bindAddress: "127.0.0.1", leaseID: lease, secret: secret, memory: memory)
    print(listener.address)
    fflush(nil)
    listener.serve { true }
    exit(0)
}

/// A donor that was started; killed when it is let go of.
final class Lender {
    let pid: pid_t
    /// Its first line.
    let greeting: String

    init(_ what: String, passing descriptor: CInt?) throws {
        var pipes: [CInt] = [0, 0]
        guard pipe(&pipes) == 0 else { throw Failure(description: "no pipe") }
        defer { close(pipes[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO)
        let high = descriptor.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
        if let high { posix_spawn_file_actions_adddup2(&actions, high, 3) }
        let cpu = environment("BENCH_SERVER_CPU") ?? "1"
        let command: [String] = ["/usr/bin/taskset", "-c", cpu, "/proc/\(getpid())/exe", what]
        var words = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, "/usr/bin/taskset", &actions, nil, &words, environ)
        close(pipes[1])
        if let high { close(high) }
        guard code == 0 else { throw Failure(description: "cannot start a donor") }
        pid = child
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(pipes[0], &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        greeting = String(decoding: line, as: UTF8.self)
    }

    /// CPU time of all its threads so far, by the scheduler's nanoseconds.
    var cpuMicroseconds: Double {
        var sum = 0.0
        guard let folder = opendir("/proc/\(pid)/task") else { return 0 }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard Int(name) != nil, let file = fopen("/proc/\(pid)/task/\(name)/schedstat", "r") else { continue }
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 256)
            if fgets(&line, 256, file) != nil { sum += strtod(line, nil) / 1000 }
        }
        return sum
    }

    deinit {
        kill(pid, SIGKILL)
        var status: CInt = 0
        waitpid(pid, &status, 0)
    }
}

func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

struct Failure: Error { let description: String }
