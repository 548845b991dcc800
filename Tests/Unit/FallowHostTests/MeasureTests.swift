import FallowHost
import FallowModel
import Glibc
import Testing

@Suite("topology") struct TopologyTests {
    /// Two packages with four cores of two threads each, numbered as such machines do: CPU n and n + 8 share a core, even cores are on
    /// package 0. CPU 15 is offline.
    private func recordedMachine(in folder: String) {
        let cpu = "\(folder)/sys/devices/system/cpu"
        for number in 0..<15 {
            makeFolders("\(cpu)/cpu\(number)/topology")
            let core = number % 8
            let siblings = core == 7 ? "7" : "\(core),\(core + 8)"
            writeFile("\(siblings)\n", to: "\(cpu)/cpu\(number)/topology/thread_siblings_list")
            writeFile("\(core % 2)\n", to: "\(cpu)/cpu\(number)/topology/physical_package_id")
        }
        writeFile("0-14\n", to: "\(cpu)/online")
        for node in 0..<2 {
            makeFolders("\(folder)/sys/devices/system/node/node\(node)")
            writeFile(
                node == 0 ? "0,2,4,6,8,10,12,14\n" : "1,3,5,7,9,11,13\n",
                to: "\(folder)/sys/devices/system/node/node\(node)/cpulist")
        }
        makeFolders("\(folder)/proc")
        writeFile("MemTotal:       131072 kB\nMemFree: 1 kB\n", to: "\(folder)/proc/meminfo")
    }

    @Test func readsTwoInterleavedPackages() throws {
        try withFolder { folder in
            recordedMachine(in: folder)
            let topology = try Topology.read(root: folder)
            #expect(topology.memory == .mebibytes(128))
            #expect(topology.online.description == "0-14")
            #expect(topology.cores.map(\.description) == ["0,8", "1,9", "2,10", "3,11", "4,12", "5,13", "6,14", "7"])
            #expect(topology.cpus[9] == .init(number: 9, core: MachineCPUSet([1, 9]), package: 1, numaNode: 1))
            #expect(topology.cpus.filter { $0.package == 0 }.map(\.number) == [0, 2, 4, 6, 8, 10, 12, 14])
        }
    }

    @Test func aWholeCoreIsLentOrNone() throws {
        try withFolder { folder in
            recordedMachine(in: folder)
            let topology = try Topology.read(root: folder)
            #expect(topology.wholeCores(within: MachineCPUSet(0...7)).description == "7")
            #expect(topology.wholeCores(within: MachineCPUSet([1, 2, 9, 14])).description == "1,9")
            #expect(topology.wholeCores(within: MachineCPUSet()).isEmpty)
        }
    }

    @Test func withoutATopologyEachCPUIsACore() throws {
        try withFolder { folder in
            recordedMachine(in: folder)
            #expect(rename("\(folder)/sys/devices/system/cpu/cpu3", "\(folder)/away") == 0)
            let topology = try Topology.read(root: folder)
            #expect(topology.cpus[3].core.description == "3")
        }
    }

    @Test func brokenMachinesAreErrors() throws {
        try withFolder { folder in
            #expect(throws: HostError.self) { try Topology.read(root: folder) }
            recordedMachine(in: folder)
            writeFile("0-x\n", to: "\(folder)/sys/devices/system/cpu/online")
            let error = #expect(throws: HostError.self) { try Topology.read(root: folder) }
            #expect(error?.sentence == "'0-x' is no list of online CPUs")
        }
    }

    @Test func readsThisMachine() throws {
        let topology = try Topology.read()
        #expect(topology.cpus.count == sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let pages = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        #expect(topology.memory == ByteCount(pages))
    }
}

@Suite("usage") struct UsageTests {
    @Test func descendantsAreMeasured() throws {
        // A parent whose own child burns, and whose other child has burnt and ended.
        let script = """
            import os, time
            def burn(seconds):
                end = time.process_time() + seconds
                while time.process_time() < end: pass
            if os.fork() == 0:
                burn(0.2); os._exit(0)
            os.wait()
            if os.fork() == 0:
                x = bytearray(32 << 20)
                for i in range(0, len(x), 4096): x[i] = 1
                burn(0.2); os.write(1, b'x'); time.sleep(60)
            time.sleep(60)
            """
        var ends: [Int32] = [0, 0]
        pipe(&ends)
        let process = try spawn(
            SpawnRequest(executable: "/usr/bin/python3", arguments: ["-c", script], descriptors: [1: ends[1]]))
        close(ends[1])
        var byte: UInt8 = 0
        #expect(read(ends[0], &byte, 1) == 1)
        close(ends[0])
        let snapshot = ProcessSnapshot.read()
        let child = snapshot.descendants(of: [process.pid])
        #expect(child.count == 1)
        let usage = snapshot.usage(ofDescendantsOf: [process.pid])
        let cpu = try #require(usage.cpu)
        #expect(cpu >= .milliseconds(360) && cpu < .milliseconds(900), "\(cpu)")
        let memory = try #require(usage.memory)
        #expect(memory >= .mebibytes(32) && memory < .mebibytes(64), "\(memory)")
        // The same roots twice, or a root below a root, count nothing twice.
        #expect(snapshot.usage(ofDescendantsOf: [process.pid, process.pid]).cpu == cpu)
        for pid in child { kill(pid, SIGKILL) }
        _ = finish(process)
        // A killed process that is nobody's child here takes a moment to be gone.
        for pid in child { for _ in 0..<500 where kill(pid, 0) == 0 { usleep(10_000) } }
        // What has vanished since the snapshot is no error.
        #expect(snapshot.usage(ofDescendantsOf: [process.pid]).memory == .zero)
    }

    @Test func namesWithParenthesesDoNotConfuse() throws {
        try withFolder { folder in
            makeFolders("\(folder)/7")
            makeFolders("\(folder)/8")
            makeFolders("\(folder)/self")
            writeFile("7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 10 20 30 40 20 0 1 0 5 0 0", to: "\(folder)/7/stat")
            writeFile("8 (x", to: "\(folder)/8/stat")
            let snapshot = ProcessSnapshot.read(procfs: folder)
            #expect(snapshot.processCount == 1)
            #expect(snapshot.usage(ofDescendantsOf: [1]).cpu == .seconds(1))
            #expect(snapshot.usage(ofDescendantsOf: [7]).cpu == .milliseconds(700))
        }
    }

    @Test func aSnapshotIsCheap() {
        let start = monotonicSeconds()
        let snapshot = ProcessSnapshot.read()
        let microseconds = (monotonicSeconds() - start) * 1e6
        print("snapshot: \(snapshot.processCount) processes in \(microseconds) µs")
        #expect(snapshot.processCount > 1)
        #expect(microseconds < 1e6)
    }

    @Test func probeReadsV1JobFolders() throws {
        try withFolder { folder in
            let job = "slurm_n1/uid_1000/job_42"
            makeFolders("\(folder)/cpuacct/\(job)/step_0")
            makeFolders("\(folder)/memory/\(job)/step_0")
            makeFolders("\(folder)/hugetlb/\(job)")
            writeFile("1500000000\n", to: "\(folder)/cpuacct/\(job)/cpuacct.usage")
            writeFile(
                "cache 9\nrss 1\nactive_file 1\ntotal_rss 1000\ntotal_shmem 200\ntotal_active_file 30\ntotal_inactive_file 4\n",
                to: "\(folder)/memory/\(job)/memory.stat")
            writeFile("4096\n", to: "\(folder)/hugetlb/\(job)/hugetlb.2MB.usage_in_bytes")
            writeFile("9999\n", to: "\(folder)/hugetlb/\(job)/hugetlb.2MB.rsvd.usage_in_bytes")
            let text =
                "9:name=systemd:/\n5:memory:/\(job)/step_0/task_0\n4:hugetlb:/\(job)/step_0\n3:cpu,cpuacct:/\(job)/step_0\n0::/\n"
            let probe = try #require(UsageProbe(cgroupText: text, job: JobID(42), mount: folder))
            #expect(probe.read() == JobUsage(cpu: .milliseconds(1500), memory: ByteCount(5326)))
            #expect(UsageProbe(cgroupText: text, job: JobID(4), mount: folder) == nil)
        }
    }

    @Test func probeReadsV2JobFolders() throws {
        try withFolder { folder in
            let job = "system.slice/slurmstepd.scope/job_7"
            makeFolders("\(folder)/\(job)/step_0/user/task_0")
            writeFile("cpu memory\n", to: "\(folder)/cgroup.controllers")
            writeFile("", to: "\(folder)/\(job)/cgroup.procs")
            writeFile("usage_usec 250000\nuser_usec 1\n", to: "\(folder)/\(job)/cpu.stat")
            writeFile(
                "anon 100\nfile 50\nshmem 20\ninactive_file 7\nactive_file 3\n", to: "\(folder)/\(job)/memory.stat")
            writeFile("4096\n", to: "\(folder)/\(job)/hugetlb.1GB.current")
            let probe = try #require(
                UsageProbe(cgroupText: "0::/\(job)/step_0/user/task_0\n", job: JobID(7), mount: folder))
            #expect(probe.read() == JobUsage(cpu: .milliseconds(250), memory: ByteCount(4219)))
        }
    }

    @Test(arguments: ["", "0::/\n", "4:memory:/user.slice\n", "garbage", "4:memory:/../job_7/x\n", "::::job_7"])
    func otherCgroupsAreNoJobs(text: String) {
        #expect(UsageProbe(cgroupText: text, job: JobID(7)) == nil)
    }

    @Test(.enabled(if: isRoot && access("/sys/fs/cgroup/memory/cgroup.procs", F_OK) == 0, "needs root and cgroup v1"))
    func probeMeasuresARealV1Job() throws {
        let job = JobID(UInt32(getpid()))
        let parent = "fallow-test-probe-\(getpid())"
        let paths = ["cpuacct", "memory"].flatMap { controller in
            ["", "/job_\(job)", "/job_\(job)/step_0"].map { "/sys/fs/cgroup/\(controller)/\(parent)\($0)" }
        }
        for path in paths { mkdir(path, 0o755) }
        defer { for path in paths.reversed() { rmdir(path) } }
        let script =
            "x = bytearray(48 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint(open('/proc/self/cgroup').read(), flush=True)\nimport time\ntime.sleep(60)"
        var ends: [Int32] = [0, 0]
        pipe(&ends)
        let process = try spawn(
            SpawnRequest(
                executable: "/usr/bin/python3", arguments: ["-c", script], descriptors: [1: ends[1]],
                cgroups: paths.filter { $0.hasSuffix("step_0") }))
        close(ends[1])
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(ends[0], &buffer, buffer.count)
        close(ends[0])
        let probe = try #require(UsageProbe(cgroupText: String(decoding: buffer[..<count], as: UTF8.self), job: job))
        #expect(probe.measuresCPU && probe.measuresMemory)
        // The kernel counts on each CPU and adds up now and then, every two seconds at the latest.
        #expect(
            eventually { probe.read().memory.map { $0 >= .mebibytes(48) && $0 < .mebibytes(96) } == true },
            "\(probe.read())")
        let usage = probe.read()
        #expect(usage.cpu.map { $0 > .milliseconds(3) && $0 < .seconds(5) } == true, "\(usage)")
        _ = finish(process)
    }
}

@Suite("pressure") struct PressureTests {
    @Test func parsesTheKernelsForm() throws {
        try withFolder { folder in
            makeFolders("\(folder)/pressure")
            writeFile(
                "some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\nfull avg10=0.10 avg60=0.00 avg300=0.00 total=99\n",
                to: "\(folder)/pressure/memory")
            writeFile("nonsense\n", to: "\(folder)/pressure/io")
            let pressure = try #require(Pressure.read(procfs: folder))
            #expect(pressure.memory?.some.averageOver10sPercent == 1.5)
            #expect(pressure.memory?.some.total == .microseconds(1234))
            #expect(pressure.memory?.full?.total == .microseconds(99))
            #expect(pressure.cpu == nil && pressure.io == nil)
            #expect(Pressure.read(procfs: "\(folder)/nowhere") == nil)
        }
    }

    @Test(.enabled(if: access("/proc/pressure/cpu", R_OK) == 0, "this kernel has no PSI")) func readsThisMachine() {
        #expect(Pressure.read()?.cpu != nil)
    }
}
