import FallowHost
import FallowModel
import Glibc
import Testing

/// A shell that ignores what can be ignored and keeps children running.
let stubborn =
    "trap '' TERM INT HUP; while :; do sleep 100 & sleep 0.001 & : & wait -n 2>/dev/null; [ $(jobs | wc -l) -gt 20 ] && wait; done"

func startStubborn(in cgroup: LeaseCgroup) throws -> SpawnedProcess {
    try spawn(
        SpawnRequest(
            executable: "/bin/bash", arguments: ["-c", stubborn], environment: ["PATH": "/usr/bin:/bin"],
            cgroups: cgroup.paths))
}

extension LeaseTests {
    @Suite("cgroups") struct CgroupTests {
        let lease = LeaseID(0x00c0_ffee_0000_0001)

        @Test(arguments: modes) func aLeaseIsMadeListedAndRemoved(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                #expect(tree.leases() == [])
                #expect(tree.existing(lease) == nil)
                let cgroup = try tree.create(lease, limits: .ample)
                #expect(tree.leases() == [lease])
                #expect(tree.existing(lease) == cgroup)
                #expect(cgroup.isEmpty)
                let error = #expect(throws: HostError.self) { try tree.create(lease, limits: .ample) }
                #expect(error?.code == .exists)
                #expect(tree.leases() == [lease])
                try cgroup.remove()
                #expect(tree.leases() == [])
                try cgroup.remove()
            }
        }

        @Test(arguments: modes) func destroyLeavesNothingBehind(mode: CgroupMode) throws {
            let top = try withTree(mode: mode) { tree in
                let cgroup = try tree.create(lease, limits: .ample)
                let process = try startStubborn(in: cgroup)
                try tree.destroy()
                #expect(endingSignal(finish(process)) == SIGKILL)
                return tree.path.split(separator: "/")[0]
            }
            for hierarchy in ["cpu", "cpuset", "cpuacct", "memory", "pids", "freezer", "unified"] {
                #expect(access("/sys/fs/cgroup/\(hierarchy)/\(top)", F_OK) != 0, "\(hierarchy)")
            }
        }

        @Test(arguments: modes) func aProcessIsInItsCgroupsBeforeItRuns(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let cgroup = try tree.create(lease, limits: .ample)
                try withFolder { folder in
                    let (status, output) = try runShell("cat /proc/self/cgroup", in: folder) {
                        $0.cgroups = cgroup.paths
                    }
                    #expect(exitCode(status) == 0)
                    let inside = output.split(separator: "\n").filter { $0.hasSuffix("/\(tree.path)/leases/\(lease)") }
                    #expect(inside.count == cgroup.paths.count, "\(output)")
                }
            }
        }

        /// A file that takes nothing lies over cgroup.procs: who has to be moved does not get in.
        @Test(.enabled(if: modes.contains(.v2))) func underVersion2ItIsBornThere() throws {
            try withTree(mode: .v2) { tree in
                #expect(tree.birthsAreImmediate)
                let cgroup = try tree.create(lease, limits: .ample)
                let file = "\(cgroup.paths[0])/cgroup.procs"
                #expect(mount("/dev/full", file, nil, UInt(MS_BIND), nil) == 0)
                defer { umount2(file, CInt(MNT_DETACH)) }
                try withFolder { folder in
                    let (status, output) = try runShell("cat /proc/self/cgroup", in: folder) {
                        $0.cgroups = cgroup.paths
                    }
                    #expect(exitCode(status) == 0)
                    #expect(output.contains("0::/\(tree.path)/leases/\(lease)\n"), "\(output)")
                }
            }
        }

        @Test func whetherMovesAreQuickIsAMountOption() {
            func quick(_ mounts: String) -> Bool { CgroupTree.movesAreQuick(mounts: mounts) }
            #expect(quick("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,relatime,favordynmods 0 0\n"))
            #expect(quick("cgroup /sys/fs/cgroup/cpu cgroup rw,favordynmods,cpu 0 0"))
            #expect(!quick("cgroup2 /sys/fs/cgroup cgroup2 rw,relatime 0 0\ntmpfs /favordynmods tmpfs rw 0 0\n"))
            #expect(!quick("x /y ext4 rw,favordynmods 0 0\n"))
            #expect(!quick(""))
        }

        @Test(arguments: modes) func killEndsWhatForksAndIgnoresSignals(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let cgroup = try tree.create(lease, limits: .ample)
                let process = try startStubborn(in: cgroup)
                #expect(eventually { cgroup.processes.count > 3 })
                #expect(!cgroup.isEmpty)
                #expect(tree.vacate([lease], within: .seconds(2)) == Vacated(emptied: [lease]))
                #expect(cgroup.isEmpty)
                #expect(cgroup.processes == [])
                #expect(endingSignal(finish(process)) == SIGKILL)
            }
        }

        @Test(arguments: modes) func killAllReachesEveryLease(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let cgroups = try (1...3).map { try tree.create(LeaseID(UInt64($0)), limits: .ample) }
                let processes = try cgroups.map { try startStubborn(in: $0) }
                usleep(20_000)
                tree.killAll()
                let deadline = monotonicSeconds() + 2
                while monotonicSeconds() < deadline, !cgroups.allSatisfy(\.isEmpty) {
                    usleep(1000)
                    if mode == .v1 { tree.killAll() }
                }
                let left = cgroups.filter { !$0.isEmpty }
                #expect(left.isEmpty)
                for process in processes { _ = finish(process) }
            }
        }

        @Test(arguments: modes) func frozenProcessesStandStillAndDieNevertheless(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let cgroup = try tree.create(lease, limits: .ample)
                let process = try spawn(
                    SpawnRequest(
                        executable: "/bin/sh", arguments: ["-c", "while :; do :; done"],
                        cgroups: cgroup.paths))
                usleep(20_000)
                try cgroup.freeze()
                usleep(20_000)
                let before = cgroup.usage().cpu
                usleep(50_000)
                let after = cgroup.usage().cpu
                #expect(after - before < .milliseconds(5), "\(before) \(after)")
                try cgroup.thaw()
                #expect(eventually { cgroup.usage().cpu - after > .milliseconds(10) })
                try cgroup.freeze()
                #expect(tree.vacate([lease], within: .seconds(2)).emptied == [lease])
                _ = finish(process)
            }
        }

        @Test(arguments: modes) func usageIsMeasured(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let cgroup = try tree.create(lease, limits: .ample)
                let script =
                    "x = bytearray(64 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nimport time\ntime.sleep(60)"
                let process = try spawn(
                    SpawnRequest(
                        executable: "/usr/bin/python3", arguments: ["-c", script], cgroups: cgroup.paths))
                let deadline = monotonicSeconds() + 10
                while monotonicSeconds() < deadline, cgroup.usage().memory < .mebibytes(64) { usleep(10_000) }
                let usage = cgroup.usage()
                #expect(usage.memory >= .mebibytes(64) && usage.memory < .mebibytes(128), "\(usage)")
                #expect(usage.cpu > .milliseconds(5) && usage.cpu < .seconds(10))
                #expect(usage.processCount == 1 && usage.oomKills == 0)
                _ = finish(process)
            }
        }

        @Test(arguments: modes.filter { $0 != .v2 }) func memoryLimitKillsAHog(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let cgroup = try tree.create(lease, limits: LeaseLimits(memory: .mebibytes(32), processes: 10))
                try withFolder { folder in
                    // tmpfs counts too, so a hog cannot hide in /dev/shm.
                    for script in ["exec tail /dev/zero", "exec head -c 100M /dev/zero > /dev/shm/hog"] {
                        let (status, output) = try runShell(script, in: folder) {
                            $0.cgroups = cgroup.paths
                            $0.isolation = .namespacesAndDevices()
                        }
                        #expect(endingSignal(status) == SIGKILL, "\(script) \(output)")
                    }
                }
                #expect(cgroup.usage().oomKills >= 2)
            }
        }

        @Test(arguments: modes.filter { $0 != .v2 }) func processLimitStopsAForkBomb(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let cgroup = try tree.create(lease, limits: LeaseLimits(memory: .mebibytes(256), processes: 30))
                // Forks until it is refused, then says how often it was not.
                let script = """
                    import os, sys, time
                    made = 0
                    try:
                        while made < 100:
                            if os.fork() == 0: time.sleep(60); os._exit(0)
                            made += 1
                    except BlockingIOError: pass
                    print(made, flush=True)
                    time.sleep(60)
                    """
                var ends: [Int32] = [0, 0]
                pipe(&ends)
                let bomb = try spawn(
                    SpawnRequest(
                        executable: "/usr/bin/python3", arguments: ["-c", script], descriptors: [1: ends[1]],
                        cgroups: cgroup.paths))
                close(ends[1])
                var answer = [UInt8](repeating: 0, count: 16)
                let count = read(ends[0], &answer, 16)
                close(ends[0])
                #expect(String(decoding: answer[..<max(0, count)], as: UTF8.self) == "29\n")
                #expect(cgroup.usage().processCount == 30)
                #expect(tree.vacate([lease], within: .seconds(2)).emptied == [lease])
                _ = finish(bomb)
            }
        }

        @Test(arguments: modes.filter { $0 != .v2 }) func pinningAndQuotaHold(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let last = try #require(Topology.read().online.max())
                let pinned = try tree.create(
                    lease, limits: LeaseLimits(cpus: MachineCPUSet([last]), memory: .mebibytes(64), processes: 20))
                let quota = try tree.create(
                    LeaseID(2), limits: LeaseLimits(cpuQuotaCores: 1, memory: .mebibytes(64), processes: 20))
                try withFolder { folder in
                    let (_, output) = try runShell("grep Cpus_allowed_list /proc/self/status", in: folder) {
                        $0.cgroups = pinned.paths
                    }
                    #expect(output == "Cpus_allowed_list:\t\(last)\n")
                }
                let burn = "for i in 1 2 3 4; do while :; do :; done & done; wait"
                let burner = try spawn(
                    SpawnRequest(
                        executable: "/bin/sh", arguments: ["-c", burn], cgroups: quota.paths))
                usleep(300_000)
                let (start, before) = (monotonicSeconds(), quota.usage().cpu)
                usleep(1_000_000)
                let used = (quota.usage().cpu - before).inSeconds / (monotonicSeconds() - start)
                #expect(used < 1.25, "four burners used \(used) cores of a quota of one")
                _ = tree.vacate([LeaseID(2)], within: .seconds(1))
                _ = finish(burner)
                let absent = #expect(throws: HostError.self) {
                    try tree.create(
                        LeaseID(3),
                        limits: LeaseLimits(cpus: MachineCPUSet([4000]), memory: .mebibytes(64), processes: 20))
                }
                #expect(absent?.path?.hasSuffix("cpuset.cpus") == true)
                #expect(tree.leases().count == 2)
            }
        }

        @Test func theTopFolderHasTheLowestWeight() throws {
            try withTree(mode: .automatic, keepLowestWeight: true) { tree in
                let top = tree.path.split(separator: "/")[0]
                let shares = contents("/sys/fs/cgroup/cpu/\(top)/cpu.shares")
                let idle = contents("/sys/fs/cgroup/\(top)/cpu.idle")
                #expect(shares == "2\n" || idle == "1\n")
            }
        }

        @Test(arguments: modes) func aRestartedAgentFindsItsLeases(mode: CgroupMode) throws {
            try withTree(mode: mode) { tree in
                let process = try startStubborn(in: try tree.create(lease, limits: .ample))
                let again = try CgroupTree(path: tree.path, mode: mode, requires: [])
                #expect(again.leases() == [lease])
                #expect(try #require(again.existing(lease)).processes.contains(process.pid))
                #expect(again.vacate(again.leases(), within: .seconds(2)).emptied == [lease])
                _ = finish(process)
                try again.existing(lease)?.remove()
            }
        }

        @Test func aFullLeaseIsNotRemoved() throws {
            try withTree(mode: .automatic) { tree in
                let cgroup = try tree.create(lease, limits: .ample)
                let process = try startStubborn(in: cgroup)
                let error = #expect(throws: HostError.self) { try cgroup.remove() }
                #expect(error?.code == .busy)
                _ = tree.vacate([lease], within: .seconds(2))
                _ = finish(process)
                try cgroup.remove()
            }
        }

        @Test(arguments: ["", "/absolute/path", "a//b", "a/../b", "fallow/."]) func badPathsAreRefused(path: String) {
            let error = #expect(throws: HostError.self) { try CgroupTree(path: path) }
            #expect(error?.code == .badRequest)
        }

        @Test func anotherOwnersFolderIsRefused() throws {
            // A folder as an administrator or systemd would have made it.
            let name = "somebodys-\(getpid())"
            for hierarchy in ["cpu", "unified"] { mkdir("/sys/fs/cgroup/\(hierarchy)/\(name)", 0o755) }
            if access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 { mkdir("/sys/fs/cgroup/\(name)", 0o755) }
            defer {
                for hierarchy in ["cpu/", "unified/", ""] { rmdir("/sys/fs/cgroup/\(hierarchy)\(name)") }
            }
            let error = #expect(throws: HostError.self) { try CgroupTree(path: "\(name)/node") }
            #expect(error?.sentence.contains("belongs to somebody else") == true)
        }

        @Test func missingControllersAreNamed() throws {
            try withFolder { folder in
                writeFile("cpu memory\n", to: "\(folder)/cgroup.controllers")
                let error = #expect(throws: HostError.self) { try CgroupTree(path: "fallow-test/x", mount: folder) }
                #expect(error?.code == .unsupported)
                #expect(error?.sentence.contains("no pids cgroup controller") == true)
            }
        }

        @Test(arguments: [
            LeaseLimits(memory: .zero, processes: 1), LeaseLimits(memory: .mebibytes(1), processes: 0),
            LeaseLimits(cpus: MachineCPUSet(), memory: .mebibytes(1), processes: 1),
            LeaseLimits(cpuQuotaCores: 0, memory: .mebibytes(1), processes: 1),
        ]) func senselessLimitsAreRefused(limits: LeaseLimits) throws {
            try withTree(mode: .automatic) { tree in
                let error = #expect(throws: HostError.self) { try tree.create(lease, limits: limits) }
                #expect(error?.code == .badRequest)
            }
        }
    }
}
