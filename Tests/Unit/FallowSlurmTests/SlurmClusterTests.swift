import FallowModel
import FallowWire
import Foundation
import TestProcesses
import Testing

@testable import FallowSlurm

/// What the tests of one real cluster use: Debian's slurmctld and two slurmds with their own munged.
private struct Cluster {
    let folder: String
    var configuration: String { folder + "/etc/slurm.conf" }
    var reader: URL { productsFolder.appending(path: "fallow-slurm-reader") }

    private var productsFolder: URL {
        URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    }

    @discardableResult
    func run(_ command: String, timeout: Int = 20) throws -> String {
        try ChildProcess.output(
            of: ["/usr/bin/timeout", "\(timeout)", "bash", "-c", command],
            environment: ["SLURM_CONF": configuration], seconds: Double(timeout) + 2)
    }
}

@Suite(.serialized) struct SlurmTests {
    struct State: Sendable {
        let state: UInt32
        let words: String
        let mayLend: Bool
        init(_ state: UInt32, _ words: String, _ mayLend: Bool) {
            self.state = state
            self.words = words
            self.mayLend = mayLend
        }
    }
    static let states: [State] = [
        State(0x2, "IDLE", true),
        State(0x3, "ALLOCATED", true),
        State(0x5, "MIXED", true),
        State(0x1, "DOWN", false),
        State(0x0, "UNKNOWN", false),
        State(0x6, "FUTURE", false),
        State(0x202, "IDLE+DRAIN", false),
        State(0x203, "ALLOCATED+DRAIN", false),
        State(0x22, "IDLE+RESERVED", false),
        State(0x802, "IDLE+NOT_RESPONDING", false),
        State(0x1002, "IDLE+POWERED_DOWN", false),
        State(0x2002, "IDLE+FAIL", false),
        State(0x8002, "IDLE+MAINTENANCE", false),
        State(0x10002, "IDLE+REBOOT_REQUESTED", false),
        State(0x40002, "IDLE+POWERING_DOWN", false),
        State(0x200002, "IDLE+PLANNED", true),
        State(0x403, "ALLOCATED+COMPLETING", true),
    ]

    @Test(arguments: states)
    func whichStatesMayLend(_ expected: State) {
        let rule = NodeStateRule(state: expected.state)
        #expect(rule.words == expected.words)
        #expect(rule.mayLend == expected.mayLend)
    }

    @Test func memoryOfATresText() {
        #expect(SlurmReader.allocatedMemory("cpu=2,mem=1500M,node=1") == 1500)
        #expect(SlurmReader.allocatedMemory("cpu=2,mem=2G,node=1") == 2048)
        #expect(SlurmReader.allocatedMemory("cpu=2,mem=700,node=1") == 700)
        #expect(SlurmReader.allocatedMemory("cpu=2,node=1") == nil)
        #expect(SlurmReader.allocatedMemory("mem=rubbish") == nil)
    }

    @Test func withoutConfigurationTheReadersLastWordsAreTheError() throws {
        setenv("SLURM_CONF", "/nonexistent/slurm.conf", 1)
        defer { unsetenv("SLURM_CONF") }
        let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appending(path: "fallow-slurm-reader")
        let process = SlurmReaderProcess(program: program.path)
        for _ in 0..<2 {
            let error = #expect(throws: SlurmError.self) { try process.read(timeout: .seconds(2)) }
            #expect(error?.description.contains("/nonexistent/slurm.conf") == true, "\(error as Any)")
        }
    }

    @Test func aReaderThatHangsOrTalksNonsenseIsReplaced() throws {
        let hanging = SlurmReaderProcess(program: "/bin/sleep", arguments: ["60"])
        let started = ContinuousClock.now
        #expect(throws: SlurmError.self) { try hanging.read(timeout: .milliseconds(300)) }
        #expect(ContinuousClock.now - started < .seconds(2))
        let nonsense = SlurmReaderProcess(program: "/bin/cat", arguments: [])
        #expect(throws: SlurmError.self) { try nonsense.read(timeout: .seconds(2)) }
        let missing = SlurmReaderProcess(program: "/nonexistent", arguments: [])
        #expect(throws: SlurmError.self) { try missing.read(timeout: .seconds(2)) }
    }

    /// Needs Debian's slurmctld, slurmd and munge, and a script that takes `up` and `down`.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["FALLOW_TEST_SLURM_CLUSTER"] != nil,
            "FALLOW_TEST_SLURM_CLUSTER names no cluster script"))
    func aRealClustersJobsAndStates() throws {
        let script = try #require(ProcessInfo.processInfo.environment["FALLOW_TEST_SLURM_CLUSTER"])
        let folder = "/tmp/fallow-slurm.\(UInt32.random(in: 0 ... .max))"
        let cluster = Cluster(folder: folder)
        let environment = "STATE=\(folder) NODES=2 CPUS=4 MEM=4000 PORT0=\(Int.random(in: 21_000..<31_000))"
        defer { _ = try? cluster.run("\(environment) bash \(script) down", timeout: 30) }
        try cluster.run("\(environment) bash \(script) up", timeout: 60)
        setenv("SLURM_CONF", cluster.configuration, 1)
        defer { unsetenv("SLURM_CONF") }
        let process = SlurmReaderProcess(program: cluster.reader.path)

        let idle = try process.read(timeout: .seconds(10))
        #expect(idle.nodes.map(\.name.text) == ["node0", "node1"])
        let first = try #require(idle.views[NodeName("node0")])
        #expect(idle.privateData == [], "the lab hides nothing")
        #expect(first.mayLend && first.cores == 4 && first.memory == .mebibytes(4000) && first.jobs.isEmpty)

        try cluster.run("sbatch -o /dev/null -w node0 -n3 --mem=700 -t 10 --wrap 'sleep 100'")
        try cluster.run("sbatch -o /dev/null -N2 --ntasks-per-node=1 --mem-per-cpu=300 -t 20 --wrap 'sleep 100'")
        for _ in 0..<100 where try cluster.run("squeue -h -t R -o %i").split(separator: "\n").count < 2 {
            usleep(100_000)
        }
        let busy = try process.read(timeout: .seconds(10))
        let node0 = try #require(busy.views[NodeName("node0")])
        let node1 = try #require(busy.views[NodeName("node1")])
        #expect(node0.jobs.map(\.cores.description) == ["0-2", "3"])
        #expect(node0.jobs.map(\.memory) == [.mebibytes(700), .mebibytes(300)])
        #expect(node0.jobs.map(\.nodeCount) == [1, 2])
        #expect(node1.jobs.map(\.cores.count) == [1])
        let end = try #require(node0.jobs.first?.expectedEnd)
        #expect(abs((end - Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970)).inSeconds - 600) < 30)
        #expect(try process.read(timeout: .seconds(10)).views[NodeName("node0")]?.jobs.count == 2, "unchanged data")

        // A job that waits: Slurm plans its start.
        try cluster.run("sbatch -o /dev/null -N2 --exclusive -t 5 --wrap 'sleep 100'")
        var planned: Timestamp?
        for _ in 0..<100 where planned == nil {
            planned = try process.read(timeout: .seconds(10)).plannedStarts[NodeName("node0")]
            usleep(100_000)
        }
        #expect(planned != nil)

        try cluster.run("scancel --user=root; scontrol update nodename=node1 state=drain reason=test")
        var states: [String] = []
        for _ in 0..<100 {
            let view = try process.read(timeout: .seconds(10)).views[NodeName("node1")]
            states.append(view?.state ?? "")
            if view?.mayLend == false, view?.jobs.isEmpty == true { break }
            usleep(100_000)
        }
        #expect(states.last == "IDLE+DRAIN", "\(states)")

        // slurmctld stops answering: bounded, and a new reader works once it is back.
        try cluster.run("kill -STOP $(cat \(folder)/run/slurmctld.pid)")
        let asked = ContinuousClock.now
        #expect(throws: SlurmError.self) { try process.read(timeout: .seconds(2)) }
        #expect(ContinuousClock.now - asked < .seconds(4))
        try cluster.run("kill -CONT $(cat \(folder)/run/slurmctld.pid)")
        #expect(try process.read(timeout: .seconds(20)).nodes.count == 2)
    }
}
