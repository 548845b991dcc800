internal import FallowModel
internal import FallowTransport
internal import Glibc
internal import TransportFabric
internal import TransportShm
internal import TransportVerbs

private let geometry = ArenaGeometry(slotCount: 64, inputBytes: 1 << 20, outputBytes: 1 << 20)
private let secret = [UInt8](repeating: 1, count: 32)

/// The executor's process: `what` is serve-shm (the arena is descriptor `argument`), serve-fabric or serve-verbs (`argument` is
/// the address where it listens).
public func serve(_ what: String, _ argument: String) {
    alarm(120)  // the bound, should the client die without closing
    do {
        if what == "serve-shm" {
            let arena = try ShmArena(adopting: CInt(argument) ?? -1, expecting: geometry, workers: 1)
            try arena.prefault(worker: 0)
            var endpoint = try arena.endpoint(worker: 0, side: .executor)
            try answer(&endpoint, replyBytes: 64)
        } else if what == "serve-verbs" {
            let listener = try VerbsListener(
                bindAddress: argument, leaseID: LeaseID(1), secret: secret, geometry: geometry, workers: 1)
            announce(listener.address)
            var endpoint = try listener.acceptNext(timeout: .seconds(10)).takeEndpoint()
            try answer(&endpoint, replyBytes: 1)
        } else {
            let listener = try FabricListener(
                bindAddress: argument, leaseID: LeaseID(1), secret: secret, geometry: geometry, workers: 1)
            announce(listener.address)
            var endpoint = try listener.acceptNext(timeout: .seconds(10)).takeEndpoint()
            try answer(&endpoint, replyBytes: 64)
        }
    } catch TransportError.peerLost {
    } catch {
        print("executor: \(error)")
        exit(1)
    }
}

/// Tells the client, which reads a line, where to connect.
private func announce(_ address: String) {
    print(address)
    fflush(nil)
}

public func benchmarkShm() throws {
    let arena = try ShmArena.create(geometry: geometry, workers: 1)
    let child = try start("serve-shm", "3", passing: arena.descriptor, output: nil)
    defer { reap(child) }
    var endpoint = try arena.endpoint(worker: 0, side: .client)
    try report(&endpoint, rounds: 300_000, group: 100, pipelined: 1_000_000)
}

public func benchmarkFabric() throws {
    let (child, address) = try startListening("serve-fabric", "127.0.0.1")
    defer { reap(child) }
    var endpoint = try FabricEndpoint.connect(
        address: address, leaseID: LeaseID(1), worker: 0, secret: secret, geometry: geometry, timeout: .seconds(5))
    try report(&endpoint, rounds: 20_000, group: 1, pipelined: 50_000)
}

/// Between two addresses that RDMA devices carry: few rounds, for emulated devices are slow.
public func benchmarkVerbs(server: String, client: String) throws {
    let (child, address) = try startListening("serve-verbs", server)
    defer { reap(child) }
    let connector = VerbsConnector(
        address: address, leaseID: LeaseID(1), secret: secret, geometry: geometry, source: client)
    var endpoint = try connector.connect(worker: 0, timeout: .seconds(5))
    try report(&endpoint, rounds: 1_000, group: 1, pipelined: 1_000, bytes: 1)
}

/// - Returns: the child, and where it says that it listens.
private func startListening(_ what: String, _ argument: String) throws -> (child: pid_t, address: String) {
    var pipes: [CInt] = [0, 0]
    guard pipe(&pipes) == 0 else { throw TransportError.system(code: errno) }
    defer { close(pipes[0]) }
    let child = try start(what, argument, passing: nil, output: pipes[1])
    close(pipes[1])
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(pipes[0], &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
    return (child, String(decoding: line, as: UTF8.self))
}

/// Prints the lines that Benchmarks/harness reads; closes the endpoint.
private func report<E: Endpoint & ~Copyable>(
    _ endpoint: inout E, rounds: Int, group: Int, pipelined: Int, bytes: Int = 64
) throws(TransportError) {
    var sequence: UInt32 = 0
    _ = try pingPong(&endpoint, sequence: &sequence, rounds: rounds / 10, group: group, bytes: bytes)
    let took = try pingPong(&endpoint, sequence: &sequence, rounds: rounds, group: group, bytes: bytes)
    print("p50_us \(took[took.count / 2] / 1000)")
    let singly = try pingPong(&endpoint, sequence: &sequence, rounds: rounds / 4, group: 1, bytes: bytes)
    print("p99_us \(singly[singly.count * 99 / 100] / 1000)")
    print("per_second \(try pipeline(&endpoint, sequence: &sequence, count: pipelined, bytes: bytes))")
    endpoint.close()
}

private func reap(_ child: pid_t) {
    var status: CInt = 0
    waitpid(child, &status, 0)
}

private func start(_ what: String, _ argument: String, passing: CInt?, output: CInt?) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let high = passing.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
    if let high { posix_spawn_file_actions_adddup2(&actions, high, 3) }
    if let output { posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) }
    // The executor goes to CPU 1; the client was put on CPU 0 by whoever started it.
    let program = "/proc/\(getpid())/exe"
    let words: [String] = ["taskset", "-c", "1", program, what, argument]
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    argv.append(nil)
    defer { for word in argv { free(word) } }
    var child: pid_t = 0
    let code = posix_spawnp(&child, "taskset", &actions, nil, &argv, nil)
    if let high { close(high) }
    guard code == 0 else { throw TransportError.system(code: code) }
    return child
}
