public import FallowLocal
public import FallowModel
public import FallowTransport
public import FallowWire
internal import Foundation
public import TransportShm

/// A real fallow-executor process, started as the agent starts it: control socket, library, arena.
public final class ExecutorUnderTest: @unchecked Sendable {
    public let arena: ShmArena
    public let handle: ProcessHandle
    public let control: LocalConnection
    public let geometry: ArenaGeometry
    public let workers: Int

    /// What FALLOW_EXECUTOR names, else the one next to the test program.
    public static let path: String = {
        if let named = ProcessInfo.processInfo.environment["FALLOW_EXECUTOR"] { return named }
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        var folder = own.deletingLastPathComponent()
        for _ in 0..<4 {
            let candidate = folder.appendingPathComponent("fallow-executor").path
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
            folder.deleteLastPathComponent()
        }
        return "fallow-executor"
    }()

    /// Starts the process and sends it an assignment; does not wait for the report.
    /// - Parameters:
    ///   - packet: what is sent instead of the assignment's JSON.
    ///   - output: where the functions print; nil is /dev/null.
    public init(
        library: String, workers: Int = 1, geometry: ArenaGeometry = ArenaGeometry(), cpus: MachineCPUSet = .init(),
        pollMicroseconds: Int = 200, packet: [UInt8]? = nil, output: Int32? = nil, sendsArena: Bool = true,
        transport: TransportKind = .shm, leaseID: LeaseID = LeaseID(1)
    ) throws {
        self.geometry = geometry
        self.workers = workers
        arena = try ShmArena.create(geometry: geometry, workers: workers)
        let (ours, theirs) = try LocalConnection.pair(type: .seqpacket)
        control = ours
        let sink = output ?? open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { if output == nil { close(sink) } }
        handle = ProcessHandle(child: try Self.spawn(control: theirs.descriptor, output: sink), descriptor: -1)
        theirs.close()
        let file = open(library, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        let assignment = ExecutorAssignment(
            leaseID: leaseID, secret: String(repeating: "5a", count: 32), workers: workers, cpus: cpus,
            transport: transport, bindAddress: transport == .fabric ? "127.0.0.1" : nil, slotCount: geometry.slotCount,
            inputBytes: geometry.inputBytes,
            outputBytes: geometry.outputBytes, libraryName: (library as NSString).lastPathComponent,
            pollMicroseconds: pollMicroseconds, bufferBytes: geometry.bufferBytes)
        let bytes = try packet ?? [UInt8](JSONEncoder().encode(ExecutorOrder.serve(assignment: assignment)))
        // Not duplicated: closing another descriptor of the arena in this process would drop its locks.
        _ = try control.send(bytes, descriptors: sendsArena && transport == .shm ? [file, arena.descriptor] : [file])
    }

    deinit { kill() }

    /// The executor's report; nil when it ended, or said nothing within 10 s.
    public func report() throws -> ExecutorReport? {
        guard control.waitReadable(timeout: .seconds(10)) else { return nil }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer { buffer.deallocate() }
        guard let (count, _) = try? control.receive(into: buffer), count > 0 else { return nil }
        return try JSONDecoder().decode(ExecutorReport.self, from: Data(buffer[..<count]))
    }

    /// `kill -9`, and reaped. Harmless when done before.
    public func kill() {
        if handle.checkExit() == nil { Foundation.kill(handle.pid, SIGKILL) }
        _ = handle.wait(timeout: .seconds(5))
    }

    private static func spawn(control: Int32, output: Int32) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        posix_spawn_file_actions_adddup2(&actions, control, 3)
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), nil]
        defer { free(arguments[0]) }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, path, &actions, nil, &arguments, environ)
        guard result == 0 else { throw LocalError(.system, "cannot start '\(path)'", errorNumber: result) }
        return pid
    }
}
