import CFallowReport
import FallowConfiguration
import FallowHost
import FallowLocal
import FallowModel
import FallowPolicy
import FallowTestSupport
import FallowWire
import Foundation
import Logging
import Testing

@testable import FallowAgent

/// A node's shell with real cgroups and real executors, on an event loop of its own; the test plays Slurm.
final class ShellUnderTest: @unchecked Sendable {
    nonisolated(unsafe) let shell: NodeShell
    let loop: EventLoop
    private let folder: String

    init(
        cores: Int = 8, memory: ByteCount = .gibibytes(8), parked: Int? = 0, executorPath: String? = nil,
        donorPath: String? = nil
    ) throws {
        folder = FileManager.default.temporaryDirectory.path + "/fallow-shell-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var settings = Settings()
        settings.nodeCores = cores
        settings.nodeMemory = memory
        settings.lendUnallocated = true
        settings.lendLent = true
        settings.coreMapping = .logical
        settings.executorPath = executorPath ?? ExecutorUnderTest.path
        settings.donorPath =
            donorPath ?? URL(fileURLWithPath: ExecutorUnderTest.path).deletingLastPathComponent().path + "/fallow-donor"
        settings.executorParked = parked
        settings.runtimeDirectory = folder
        settings.stateDirectory = folder
        settings.cgroupPath = "fallow-test-\(UInt32.random(in: 0 ... .max))"
        loop = try EventLoop()
        shell = NodeShell(
            settings: settings, name: NodeName("here"), loop: loop,
            tree: try CgroupTree(path: settings.cgroupPath, share: .ordinary),
            topology: try Topology.read(), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let thread = Thread { [loop] in loop.run() }
        thread.start()
    }

    /// Runs on the loop's thread.
    @discardableResult
    func on<Value>(_ body: @escaping (NodeShell) -> Value) -> Value {
        let done = DispatchSemaphore(value: 0)
        nonisolated(unsafe) var result: Value?
        nonisolated(unsafe) let body = body
        loop.post { [self] in
            result = body(shell)
            done.signal()
        }
        done.wait()
        return result!
    }

    func end() throws {
        on { shell in
            shell.revoke(shell.leaseIDs, .agentGone)
            shell.parking.close()
            shell.donors.close()
        }
        for _ in 0..<500 where on({ !$0.dying.isEmpty || $0.unfinished > 0 }) { usleep(10_000) }
        loop.stop()
        try shell.tree.destroy()
        try FileManager.default.removeItem(atPath: folder)
    }

    /// Slurm's view: the node may lend, and holds these jobs.
    func slurm(_ jobs: [SlurmJobView] = []) {
        on { shell in
            shell.carryOut(
                shell.policy.onSlurmView(
                    SlurmNodeView(
                        at: .current(), state: "IDLE", mayLend: true, cores: shell.policy.rules.cores,
                        memory: shell.policy.rules.memory, jobs: jobs), now: .current()))
        }
    }

    func grant(_ number: UInt64, cpus: Int = 1, library: String, user: UserID = UserID(65534)) -> Grant {
        let now = Timestamp.current()
        return Grant(
            leaseID: LeaseID(number), node: NodeName("here"), user: user,
            demand: LeaseDemand(cpus: cpus, memory: .mebibytes(256), libraryName: library),
            secret: String(repeating: "5a", count: 32), termEnds: now + .seconds(60), obeyBefore: now + .seconds(10),
            clientNode: NodeName("here"), clientAgentURL: "")
    }

    /// Opens a lease and waits for its executor's word.
    func open(_ grant: Grant, libraryPath: String) throws -> Result<ExecutorReport, WireError> {
        let file = Foundation.open(libraryPath, O_RDONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        let done = DispatchSemaphore(value: 0)
        nonisolated(unsafe) var result: Result<ExecutorReport, WireError> = .success(ExecutorReport())
        let identity =
            (try? UserIdentity.resolve(grant.user))
            ?? UserIdentity(
                uid: grant.user, name: "-", gid: 0, groups: [], home: "/")
        loop.post { [self] in
            shell.open(grant, library: file, local: true, identity: identity) {
                result = $0
                done.signal()
            }
        }
        try #require(done.wait(timeout: .now() + 30) == .success)
        return result
    }

    /// A step starts, as the plugin tells it.
    func stepStart(job: UInt32, cores: String, step: UInt32 = 0, memoryMiB: UInt64 = 1000) throws -> ReportAnswer {
        let record = try ReportRecord(packet: packet(job: job, cores: cores, step: step, memoryMiB: memoryMiB))
        return on { shell in
            var answers: [ReportAnswer] = []
            shell.on(record) { answers.append($0) }
            precondition(answers.count == 1, "a record is answered once")
            return answers[0]
        }
    }
}

/// A STEP_START record as the plugin writes it.
func packet(
    job: UInt32, cores: String, step: UInt32 = 0, memoryMiB: UInt64 = 1000,
    change: (inout fallow_report_request) -> Void = { _ in }
) -> [UInt8] {
    var record = fallow_report_request()
    record.magic = UInt32(FALLOW_REPORT_MAGIC)
    record.version = UInt16(FALLOW_REPORT_VERSION)
    record.kind = UInt16(FALLOW_REPORT_STEP_START.rawValue)
    record.job_id = job
    record.step_id = step
    record.uid = 65534
    record.alloc_mem_mib = memoryMiB
    record.lend_cpus = Int64(FALLOW_LEND_UNSET)
    record.lend_mem_bytes = Int64(FALLOW_LEND_UNSET)
    record.reserve_mem = -1
    withUnsafeMutableBytes(of: &record.alloc_cores) { $0.copyBytes(from: Array(cores.utf8)) }
    change(&record)
    return withUnsafeBytes(of: record) { Array($0) }
}

@Suite(.serialized, .enabled(if: getuid() == 0, "cgroups and other users' processes need root"))
struct NodeShellTests {
    @Test("A lease runs as its user in its cgroup, and is gone before the step on its cores begins")
    func vacate() throws {
        let node = try ShellUnderTest()
        defer { try? node.end() }
        node.slurm()
        let library = TestLibrary.path("plain")
        let opened = try node.open(node.grant(1, cpus: 2, library: "plain.so"), libraryPath: library)
        #expect(try opened.get().address == nil)
        let (pid, cores) = node.on {
            ($0.executors[LeaseID(1)]!.process.pid, $0.executors[LeaseID(1)]!.placement.cores)
        }
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        #expect(status.contains("Uid:\t65534\t65534"))
        #expect(status.contains("NoNewPrivs:\t1"))
        #expect(cores.count == 2)

        // A step on other cores leaves it alone; one on its cores ends it before the answer.
        let other = try node.stepStart(job: 7, cores: "0-1")
        #expect(other.vacatedLeases == 0)
        #expect(kill(pid, 0) == 0)
        let answer = try node.stepStart(job: 8, cores: "\(cores)")
        #expect(answer.status == FALLOW_REPLY_OK)
        #expect(answer.vacatedLeases == 1)
        #expect(answer.vacateMicroseconds > 0)
        let alive =
            (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)).map { !$0.contains(") Z ") } ?? false
        #expect(!alive)
        #expect(node.on { $0.executors.isEmpty })
        let ended = node.on { $0.outbox.ended }
        #expect(ended.map(\.reason) == [.reclaimed])
    }

    @Test("A grant is obeyed once, here, in time, and never for root")
    func grants() throws {
        let node = try ShellUnderTest()
        defer { try? node.end() }
        node.slurm()
        let library = TestLibrary.path("plain")
        func code(_ grant: Grant) throws -> WireError.Code? {
            if case .failure(let error) = try node.open(grant, libraryPath: library) { return error.code }
            return nil
        }
        let grant = node.grant(2, library: "plain.so")
        #expect(try code(grant) == nil)
        #expect(try code(grant) == .conflict)
        var elsewhere = node.grant(3, library: "plain.so")
        elsewhere.node = NodeName("there")
        #expect(try code(elsewhere) == .refused)
        var late = node.grant(4, library: "plain.so")
        late.obeyBefore = .current() + .seconds(-1)
        #expect(try code(late) == .refused)
        #expect(try code(node.grant(5, library: "plain.so", user: .root)) == .refused)
        #expect(try code(node.grant(6, cpus: 99, library: "plain.so")) == .noCapacity)
        #expect(node.on { $0.executors.count } == 1)
    }

    @Test("A file that is no library ends in an error that says so, and leaves nothing behind")
    func badLibrary() throws {
        let node = try ShellUnderTest()
        defer { try? node.end() }
        node.slurm()
        let result = try node.open(node.grant(9, library: "passwd"), libraryPath: "/etc/passwd")
        guard case .failure(let error) = result else {
            Issue.record("a text file was loaded")
            return
        }
        #expect(error.code == .libraryUnusable)
        #expect(node.on { $0.executors.isEmpty && $0.policy.leases.isEmpty })
    }

    @Test("An executor that is killed is noticed, and its place is free")
    func killed() throws {
        let node = try ShellUnderTest()
        defer { try? node.end() }
        node.slurm()
        _ = try node.open(node.grant(10, library: "plain.so"), libraryPath: TestLibrary.path("plain")).get()
        let pid = node.on { $0.executors[LeaseID(10)]!.process.pid }
        kill(pid, SIGKILL)
        for _ in 0..<100 where node.on({ !$0.executors.isEmpty }) { usleep(1000) }
        #expect(node.on { $0.executors.isEmpty })
        let ended = node.on { $0.outbox.ended.last }
        #expect(ended?.reason == .executorDied)
        #expect(ended?.detail?.contains("signal 9") == true)
    }
}

@Suite struct ReportRecordTests {
    @Test("Records that make no sense are refused with the reason")
    func malformed() {
        func sentence(_ packet: [UInt8]) -> String? {
            do {
                _ = try ReportRecord(packet: packet)
                return nil
            } catch { return error.sentence }
        }
        #expect(sentence([1, 2, 3])?.contains("bytes, not 3") == true)
        #expect(sentence(packet(job: 1, cores: "0") { $0.magic = 1 })?.contains("magic") == true)
        #expect(sentence(packet(job: 1, cores: "0") { $0.version = 9 })?.contains("version 9") == true)
        #expect(sentence(packet(job: 1, cores: "0") { $0.kind = 77 })?.contains("kind 77") == true)
        #expect(sentence(packet(job: 1, cores: "zero"))?.contains("'zero'") == true)
        let unended = packet(job: 1, cores: "0") { record in
            withUnsafeMutableBytes(of: &record.cgroup) { $0.copyBytes(from: Array(repeating: 65, count: $0.count)) }
        }
        #expect(sentence(unended)?.contains("cgroup") == true)
        #expect(sentence(packet(job: 1, cores: "0-3")) == nil)
    }

    @Test("What the job said arrives as it was said")
    func options() throws {
        func request(_ change: (inout fallow_report_request) -> Void) throws -> ServerlessRequest? {
            try ReportRecord(packet: packet(job: 1, cores: "0", change: change)).step.serverless
        }
        #expect(try request { _ in } == nil)
        #expect(try request { $0.flags = UInt32(FALLOW_REPORT_SERVERLESS | FALLOW_REPORT_SERVERLESS_NO) } == .no)
        let auto = try request {
            $0.flags = UInt32(FALLOW_REPORT_SERVERLESS)
            $0.lend_cpus = -1
            $0.lend_mem_bytes = -1
        }
        #expect(auto == .auto)
        let explicit = try request {
            $0.flags = UInt32(FALLOW_REPORT_SERVERLESS | FALLOW_REPORT_RESERVE_PERCENT)
            $0.lend_cpus = 2
            $0.lend_mem_bytes = 4 << 30
            $0.reserve_mem = 10
        }
        #expect(explicit == .explicit(cores: 2, memory: .gibibytes(4), reserve: .percent(10)))
        #expect(explicit?.description == "cpus=2,mem=4G,reserve-mem=10%")
    }
}
