import FallowHost
import FallowModel
import FallowTestSupport
import FallowWire
import Foundation
import Testing

@testable import FallowAgent

/// Parked executors as the node's shell has them: real processes, real cgroups.
@Suite(.serialized, .enabled(if: getuid() == 0, "cgroups and other users' processes need root"))
struct ParkingTests {
    private let library = TestLibrary.path("plain")

    private func within(_ seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while Date() < deadline {
            if try condition() { return true }
            usleep(5000)
        }
        return try condition()
    }
    private func status(_ pid: Int32) -> String {
        (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    }
    private func runs(_ pid: Int32) -> Bool { status(pid).contains("\nState:") && !status(pid).contains("State:\tZ") }

    private func node() throws -> ShellUnderTest {
        let node = try ShellUnderTest(parked: 3)
        node.slurm()
        node.on { $0.tick() }
        return node
    }
    /// Opens and ends a lease. - Returns: its executor's pid, and the lease as it was.
    private func lease(_ node: ShellUnderTest, _ number: UInt64) throws -> Int32 {
        _ = try node.open(node.grant(number, library: "plain.so"), libraryPath: library).get()
        return node.on { shell in
            let pid = shell.executors[LeaseID(number)]!.process.pid
            shell.revoke([LeaseID(number)], .released)
            return pid
        }
    }

    @Test("A lease leaves another executor standing ready, which the next lease gets, once")
    func nextLease() throws {
        let node = try node()
        defer { try? node.end() }
        #expect(node.on { $0.parking.readyCount } == 0)
        let first = try lease(node, 1)
        #expect(within(5) { node.on { $0.parking.readyCount == 1 } })
        let waiting = node.on { $0.parking.readyProcesses[0] }
        #expect(waiting != first)
        #expect(status(waiting).contains("Uid:\t0\t0\t0\t0"))
        #expect(within(2) { status(waiting).contains("Threads:\t1\n") })
        let second = try lease(node, 2)
        #expect(second == waiting)
        // Two, when both leases began within a second: so many may be asked for at once again.
        #expect(within(5) { node.on { (1...2).contains($0.parking.readyCount) } })
        #expect(!node.on { $0.parking.readyProcesses }.contains(second))
    }

    @Test("It becomes its user in the cgroup that it was born in, with the lease's limits")
    func identity() throws {
        let node = try node()
        defer { try? node.end() }
        _ = try lease(node, 1)
        #expect(within(5) { node.on { $0.parking.readyCount == 1 } })
        let waiting = node.on { $0.parking.readyProcesses[0] }
        let before = try String(contentsOfFile: "/proc/\(waiting)/cgroup", encoding: .utf8)
        _ = try node.open(node.grant(2, library: "plain.so"), libraryPath: library).get()
        let text = status(waiting)
        for line in [
            "Uid:\t65534\t65534\t65534\t65534", "NoNewPrivs:\t1", "CapInh:\t0000000000000000",
            "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
            "CapAmb:\t0000000000000000",
        ] { #expect(text.contains(line + "\n"), "\(line)") }
        #expect(try String(contentsOfFile: "/proc/\(waiting)/cgroup", encoding: .utf8) == before)
        let (cgroup, process) = node.on { ($0.executors[LeaseID(2)]!.cgroup, $0.executors[LeaseID(2)]!.process.pid) }
        #expect(process == waiting && cgroup.processes == [waiting])
        let memory = cgroup.paths
            .flatMap { ["\($0)/memory.limit_in_bytes", "\($0)/memory.max"] }
            .compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }.first
        #expect(memory == "\(256 << 20)\n")
    }

    @Test("One that is killed is replaced, and a lease that was just given it gets another")
    func killed() throws {
        let node = try node()
        defer { try? node.end() }
        _ = try lease(node, 1)
        #expect(within(5) { node.on { $0.parking.readyCount == 1 } })
        let waiting = node.on { $0.parking.readyProcesses[0] }
        kill(waiting, SIGKILL)
        #expect(within(2) { !runs(waiting) && !node.on { $0.parking.readyProcesses.contains(waiting) } })
        #expect(
            within(5) {
                node.on { $0.tick() }
                return node.on { $0.parking.readyCount == 1 }
            })
        // Stopped, it takes its assignment and says nothing; killed then, the lease has got nothing of it.
        let next = node.on { $0.parking.readyProcesses[0] }
        kill(next, SIGSTOP)
        let killer = Thread {
            usleep(100_000)
            kill(next, SIGKILL)
        }
        killer.start()
        _ = try node.open(node.grant(2, library: "plain.so"), libraryPath: library).get()
        let got = node.on { $0.executors[LeaseID(2)]!.process.pid }
        #expect(got != next && runs(got))
        #expect(node.on { $0.outbox.ended.filter { $0.reason == .executorDied }.isEmpty })
    }

    private let nobody: UserIdentity

    init() throws { nobody = try UserIdentity.resolve(UserID(65534)) }

    /// A node where one has become nobody ahead of his lease, for request 1. - Returns: the node, and its pid.
    private func engaged() throws -> (node: ShellUnderTest, pid: Int32) {
        let node = try node()
        _ = try lease(node, 1)
        #expect(within(5) { node.on { $0.parking.readyCount == 1 } })
        let waiting = node.on { $0.parking.readyProcesses[0] }
        node.on { [nobody] in $0.engageExecutor(as: nobody, for: 1) }
        #expect(node.on { $0.parking.engagedProcesses } == [waiting])
        return (node, waiting)
    }

    @Test("One becomes the user while the lease is asked for, loads nothing, and is his lease's")
    func engagement() throws {
        let (node, pid) = try engaged()
        defer { try? node.end() }
        #expect(within(2) { status(pid).contains("Uid:\t65534\t65534\t65534\t65534") })
        #expect(status(pid).contains("Threads:\t1\n") && status(pid).contains("CapEff:\t0000000000000000\n"))
        #expect(try !String(contentsOfFile: "/proc/\(pid)/maps", encoding: .utf8).contains("plain"))
        // Not another user's, and not his with other groups.
        var other = nobody
        other.groups = [65534, 65533]
        node.on { shell in
            for identity in [
                other, UserIdentity(uid: UserID(65533), name: "-", gid: 65534, groups: [65534], home: "/"),
            ] {
                #expect(shell.parking.takeEngaged(.shm, identity) == nil)
            }
        }
        _ = try node.open(node.grant(2, library: "plain.so"), libraryPath: library).get()
        let executor = node.on { ($0.executors[LeaseID(2)]!.process.pid, $0.executors[LeaseID(2)]!.hasEntered) }
        #expect(executor == (pid, true))
        let memory = node.on { $0.executors[LeaseID(2)]!.cgroup.paths }
            .flatMap { ["\($0)/memory.limit_in_bytes", "\($0)/memory.max"] }
            .compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }.first
        #expect(memory == "\(256 << 20)\n")
    }

    @Test("Requests that come to nothing cost one, which ends when no lease comes")
    func engagementWithoutLease() throws {
        let (node, pid) = try engaged()
        defer { try? node.end() }
        node.on { $0.parking.endRequest(1) }
        for request in 2...5 as ClosedRange<UInt64> {
            node.on { [nobody] shell in
                shell.parking.expect(.shm, for: nobody.uid)
                shell.engageExecutor(as: nobody, for: request)
                shell.parking.endRequest(request)
            }
        }
        #expect(node.on { $0.parking.engagedProcesses } == [pid])
        #expect(node.on { $0.parking.readyCount + $0.parking.birthCount } == 0, "none more is used up, or started")
        // While one waits for his request, another of his requests has another, but the last that stands is for others.
        node.on { shell in
            for _ in 0..<3 { shell.parking.stand(.shm) { $0.policy.onLease(now: .current()) } }
            shell.tick()
        }
        #expect(within(4) { node.on { $0.parking.readyCount == 2 } })
        node.on { [nobody] shell in
            for request in 6...9 as ClosedRange<UInt64> { shell.engageExecutor(as: nobody, for: request) }
        }
        #expect(node.on { ($0.parking.engagedProcesses.count, $0.parking.readyCount) } == (2, 1))
        #expect(
            within(10) {
                node.on { $0.tick() }
                return node.on { $0.parking.engagedProcesses.isEmpty } && !runs(pid)
            })
    }

    @Test("Its user may kill it: his lease gets another")
    func engagementKilled() throws {
        let (node, pid) = try engaged()
        defer { try? node.end() }
        #expect(within(2) { status(pid).contains("Uid:\t65534") })
        kill(pid, SIGKILL)
        #expect(within(2) { node.on { $0.parking.engagedProcesses.isEmpty } })
        _ = try node.open(node.grant(2, library: "plain.so"), libraryPath: library).get()
        #expect(node.on { $0.executors[LeaseID(2)]!.process.pid } != pid)
        #expect(within(2) { node.on { $0.parking.readyCount >= 1 } })
    }

    @Test("None stands once lending is off, and their folders are gone")
    func switchedOff() throws {
        let node = try node()
        defer { try? node.end() }
        _ = try lease(node, 1)
        #expect(within(5) { node.on { $0.parking.readyCount == 1 } })
        let waiting = node.on { $0.parking.readyProcesses[0] }
        node.on { shell in
            shell.carryOut(shell.policy.onSwitches(.init(unallocated: false, lent: false), now: .current()))
            shell.tick()
        }
        #expect(node.on { $0.parking.readyCount } == 0)
        #expect(within(2) { !runs(waiting) && node.on { $0.tree.leases().isEmpty } })
    }

    @Test("A job's start finds leases in its way, and no parked executor")
    func vacate() throws {
        let node = try node()
        defer { try? node.end() }
        _ = try lease(node, 1)
        #expect(within(5) { node.on { $0.parking.readyCount == 1 } })
        let waiting = node.on { $0.parking.readyProcesses[0] }
        let answer = try node.stepStart(job: 7, cores: "0-7")
        #expect(answer.vacatedLeases == 0 && runs(waiting))
        node.on { $0.tick() }
        #expect(within(2) { !runs(waiting) })
    }

    @Test("A lease that ends while its executor is being started leaves it to the next")
    func withdrawn() throws {
        let node = try node()
        defer { try? node.end() }
        let file = open(library, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        nonisolated(unsafe) var result: Result<ExecutorReport, WireError>?
        let grant = node.grant(3, library: "plain.so")
        node.on { shell in
            shell.open(
                grant, library: file, local: true,
                identity: .init(uid: grant.user, name: "nobody", gid: 65534, groups: [65534], home: "/")
            ) { result = $0 }
            shell.revoke([grant.leaseID], .reclaimed)
        }
        guard case .failure(let error) = result else {
            Issue.record("the lease was served after its end")
            return
        }
        #expect(error.code == .unavailable)
        #expect(node.on { $0.policy.leases.isEmpty && $0.starting.isEmpty && $0.outbox.ended.count == 1 })
        #expect(within(5) { node.on { $0.parking.readyCount == 1 && $0.parking.birthCount == 0 } })
    }

    @Test("An executor that cannot be started ends its lease with a sentence")
    func noProgram() throws {
        let node = try ShellUnderTest(parked: 2, executorPath: "/nowhere/fallow-executor")
        defer { try? node.end() }
        node.slurm()
        guard case .failure(let error) = try node.open(node.grant(1, library: "plain.so"), libraryPath: library) else {
            Issue.record("there is no such program")
            return
        }
        #expect(error.message.contains("/nowhere/fallow-executor"))
        #expect(node.on { $0.policy.leases.isEmpty && $0.tree.leases().isEmpty })
    }
}
