import FallowHost
import FallowModel
import Glibc
import Testing

extension LeaseTests {
    @Suite("vacate") struct VacateTests {
        /// Prints how long a vacate takes, p50 and p99 over 100 (30 when busy), and holds it to a bound that even a busy
        /// test machine keeps. With burners of ordinary weight on every CPU the dying have to fight for the time to die.
        @Test(arguments: modes, [0, 2]) func timing(mode: CgroupMode, burnersPerCPU: Int) throws {
            let burners = try (0..<burnersPerCPU * Topology.read().online.count).map { _ in
                try spawn(
                    SpawnRequest(
                        executable: "/usr/bin/python3",
                        arguments: ["-c", "import time\nend = time.time() + 300\nwhile time.time() < end: pass"]))
            }
            for burner in burners { kill(burner.pid, SIGSTOP) }
            defer { for burner in burners { _ = finish(burner) } }
            try withTree(mode: mode) { tree in
                var milliseconds: [Double] = []
                let rounds = burnersPerCPU == 0 ? 100 : 30
                for round in 0..<rounds {
                    let lease = LeaseID(UInt64(round) + 1)
                    useOrdinaryWeight(tree)  // a vacate leaves the lowest behind
                    let cgroup = try tree.create(lease, limits: .ample)
                    let process = try startStubborn(in: cgroup)
                    #expect(eventually { cgroup.processes.count > 3 })
                    for burner in burners { kill(burner.pid, SIGCONT) }
                    let start = monotonicSeconds()
                    let vacated = tree.vacate([lease], within: .seconds(2))
                    milliseconds.append((monotonicSeconds() - start) * 1e3)
                    for burner in burners { kill(burner.pid, SIGSTOP) }
                    #expect(vacated.emptied == [lease] && vacated.stuck.isEmpty)
                    #expect(endingSignal(finish(process)) == SIGKILL)
                    try cgroup.remove()
                }
                milliseconds.sort()
                print(
                    "vacate \(mode.rawValue), \(burnersPerCPU) burners a CPU: p50 \(milliseconds[rounds / 2]) ms, p99 \(milliseconds[rounds * 99 / 100 - 1]) ms, max \(milliseconds[rounds - 1]) ms"
                )
                #expect(milliseconds[rounds / 2] < 60)
            }
        }

        @Test func whatCannotDieIsFrozenAndReported() throws {
            // A vacate whose time is over before it begins: the killed are still there when it looks, if it looks at once.
            try withTree(mode: .automatic) { tree in
                let cgroup = try tree.create(LeaseID(1), limits: LeaseLimits(memory: .gibibytes(2), processes: 20))
                let script =
                    "x = bytearray(1 << 30)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('ready', flush=True)\nimport time\ntime.sleep(60)"
                var ends: [Int32] = [0, 0]
                pipe(&ends)
                let process = try spawn(
                    SpawnRequest(
                        executable: "/usr/bin/python3", arguments: ["-c", script], descriptors: [1: ends[1]],
                        cgroups: cgroup.paths))
                close(ends[1])
                var byte: UInt8 = 0
                #expect(read(ends[0], &byte, 1) == 1)
                close(ends[0])
                // A GiB takes far longer than this to give back.
                let vacated = tree.vacate([LeaseID(1)], within: .milliseconds(1))
                #expect(vacated.emptied == [])
                #expect(vacated.stuck == [LeaseID(1): [process.pid]])
                #expect(tree.vacate([LeaseID(1)], within: .seconds(20)).emptied == [LeaseID(1)])
                _ = finish(process)
            }
        }

        @Test func leasesWithoutAFolderCountAsEmptied() throws {
            try withTree(mode: .automatic) { tree in
                #expect(tree.vacate([LeaseID(9)], within: .seconds(1)) == Vacated(emptied: [LeaseID(9)]))
                #expect(tree.vacate([], within: .seconds(1)) == Vacated(emptied: []))
            }
        }
    }
}
