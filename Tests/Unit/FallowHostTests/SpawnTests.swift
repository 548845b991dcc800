import FallowHost
import FallowModel
import Glibc
import Testing

@Suite("spawn") struct SpawnTests {
    @Test func exitCodesAndSignalsComeBack() throws {
        #expect(exitCode(waitForEnd(try spawn(SpawnRequest(executable: "/bin/sh", arguments: ["-c", "exit 7"])))) == 7)
        let killed = try spawn(SpawnRequest(executable: "/bin/sh", arguments: ["-c", "kill -9 $$"]))
        #expect(endingSignal(waitForEnd(killed)) == 9)
    }

    @Test func pidfdPollsReadableAtTheEnd() throws {
        let process = try spawn(SpawnRequest(executable: "/bin/sleep", arguments: ["0.1"]))
        try #require(process.descriptor >= 0)
        var watched = pollfd(fd: process.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&watched, 1, 0) == 0)
        #expect(poll(&watched, 1, 10_000) == 1)
        #expect(exitCode(waitForEnd(process)) == 0)
    }

    @Test func environmentAndArgumentsAreExact() throws {
        try withFolder { folder in
            let (status, output) = try runShell("env | sort; printf '%s|' \"$@\"; pwd; umask", in: folder) {
                $0.arguments += ["name", "a b", "", "c"]
                $0.environment = ["B": "2=3", "A": "1", "PATH": "/usr/bin:/bin"]
                $0.workingDirectory = "/usr"
            }
            #expect(exitCode(status) == 0)
            // PWD and the like are the shell's own.
            let lines = output.split(separator: "\n").filter { !$0.hasPrefix("PWD=") && !$0.hasPrefix("_=") }
            #expect(lines == ["A=1", "B=2=3", "PATH=/usr/bin:/bin", "a b||c|/usr", "0077"])
        }
    }

    @Test func onlyTheNamedDescriptorsArePassed() throws {
        try withFolder { folder in
            writeFile("seven", to: "\(folder)/seven")
            let named = open("\(folder)/seven", O_RDONLY | O_CLOEXEC)
            let leaking = open("/dev/zero", O_RDONLY)  // no close-on-exec
            defer {
                close(named)
                close(leaking)
            }
            let (status, output) = try runShell(
                "cat <&7; for n in $(seq 0 99); do [ -e /proc/$$/fd/$n ] && printf ' %s' $n; done; :", in: folder
            ) {
                $0.descriptors[7] = named
            }
            #expect(exitCode(status) == 0)
            #expect(output == "seven 0 1 2 7")
            #expect(fcntl(named, F_GETFD) >= 0)
        }
    }

    @Test func descriptorsMayChangePlaces() throws {
        try withFolder { folder in
            writeFile("one", to: "\(folder)/one")
            writeFile("two", to: "\(folder)/two")
            let one = open("\(folder)/one", O_RDONLY | O_CLOEXEC)
            let two = open("\(folder)/two", O_RDONLY | O_CLOEXEC)
            defer {
                close(one)
                close(two)
            }
            let (_, output) = try runShell("cat <&\(two); cat <&\(one)", in: folder) {
                $0.executable = "/bin/bash"
                $0.descriptors[Int32(two)] = one
                $0.descriptors[Int32(one)] = two
            }
            #expect(output == "onetwo")
        }
    }

    @Test func signalsAreAsNew() throws {
        try withFolder { folder in
            // Ignored signals and a blocked mask are inherited over exec unless reset.
            signal(SIGUSR1, SIG_IGN)
            defer { signal(SIGUSR1, SIG_DFL) }
            let (_, output) = try runShell("grep -E '^Sig(Blk|Ign)' /proc/self/status", in: folder)
            #expect(output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
        }
    }

    @Test func newSessionNoNewPrivilegesAndOomScore() throws {
        try withFolder { folder in
            let (_, output) = try runShell(
                "grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj; ulimit -c; ulimit -n; [ $(ps -o sid= -p $$) = $$ ] && echo leader",
                in: folder
            ) { $0.limits.openFiles = 77 }
            #expect(output == "NoNewPrivs:\t1\n1000\n0\n77\nleader\n")
        }
    }

    @Test func missingExecutableIsAClearError() throws {
        let error = #expect(throws: HostError.self) { try spawn(SpawnRequest(executable: "/nowhere/program")) }
        #expect(error?.code == .notFound)
        #expect(error?.description.contains("cannot start '/nowhere/program': it cannot be executed") == true)
        let folder = #expect(throws: HostError.self) {
            try spawn(SpawnRequest(executable: "/bin/true", workingDirectory: "/nowhere"))
        }
        #expect(folder?.path == "/nowhere")
        let cgroup = #expect(throws: HostError.self) {
            try spawn(SpawnRequest(executable: "/bin/true", cgroups: ["/nowhere"]))
        }
        #expect(cgroup?.path == "/nowhere")
    }

    @Test(arguments: [
        SpawnRequest(executable: "relative/program"), SpawnRequest(executable: "/bin/true", environment: ["A=B": "1"]),
        SpawnRequest(executable: "/bin/true", arguments: ["a\0b"]),
        SpawnRequest(executable: "/bin/true", descriptors: [-1: 0]),
        SpawnRequest(executable: "/bin/true", oomScoreAdjustment: 1001),
    ]) func badRequestsAreRefused(request: SpawnRequest) {
        let error = #expect(throws: HostError.self) { try spawn(request) }
        #expect(error?.code == .badRequest)
    }

    @Test func fileSizeLimitHolds() throws {
        try withFolder { folder in
            let (status, _) = try runShell("exec head -c 100000 /dev/zero > \(folder)/big", in: folder) {
                $0.limits.fileSize = .kibibytes(16)
            }
            #expect(endingSignal(status) == SIGXFSZ)
            var status2 = stat()
            stat("\(folder)/big", &status2)
            #expect(status2.st_size == 16_384)
        }
    }

    @Test(.enabled(if: isRoot, needsRoot)) func becomesTheUserWhollyAndForGood() throws {
        try withFolder { folder in
            let identity = UserIdentity(
                uid: UserID(54321), name: "nobody", gid: 54322, groups: [54322, 54400], home: "/")
            let (_, output) = try runShell(
                "grep -E '^(Uid|Gid|Groups|Cap)' /proc/self/status", in: folder
            ) { $0.identity = identity }
            #expect(
                output == """
                    Uid:\t54321\t54321\t54321\t54321
                    Gid:\t54322\t54322\t54322\t54322
                    Groups:\t54322 54400 
                    CapInh:\t0000000000000000
                    CapPrm:\t0000000000000000
                    CapEff:\t0000000000000000
                    CapBnd:\t0000000000000000
                    CapAmb:\t0000000000000000

                    """)
        }
    }

    @Test(.enabled(if: isRoot, needsRoot)) func namespacesAndDevicesAreItsOwn() throws {
        try withFolder { folder in
            let identity = UserIdentity(uid: UserID(54321), name: "nobody", gid: 54322, groups: [], home: "/")
            let (status, output) = try runShell(
                "ls /dev | tr '\\n' ' '; echo x > /dev/null && head -c 1 /dev/zero | wc -c && echo y > /dev/shm/file; readlink /proc/self/ns/mnt /proc/self/ns/ipc",
                in: folder
            ) {
                $0.identity = identity
                $0.isolation = .namespacesAndDevices(keeping: ["/dev/ptmx"])
            }
            #expect(exitCode(status) == 0)
            let lines = output.split(separator: "\n")
            try #require(lines.count == 3)
            #expect(lines[0] == "fd full null ptmx random shm stderr stdin stdout tty urandom zero 1")
            #expect(lines[1] != namespace("mnt") && lines[1].hasPrefix("mnt:"))
            #expect(lines[2] != namespace("ipc") && lines[2].hasPrefix("ipc:"))
            #expect(access("/dev/shm/file", F_OK) != 0)
            #expect(access("/dev/null", W_OK) == 0)
        }
    }

    @Test(.enabled(if: isRoot, needsRoot)) func aFileIsNoDeviceToKeep() {
        let error = #expect(throws: HostError.self) {
            try spawn(
                SpawnRequest(executable: "/bin/true", isolation: .namespacesAndDevices(keeping: ["/etc/passwd"])))
        }
        #expect(error?.path == "/etc/passwd")
    }

    private func namespace(_ kind: String) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/self/ns/\(kind)", &buffer, 63)
        return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test func resolvesUsers() throws {
        let root = try UserIdentity.resolve(.root)
        #expect(root.name == "root" && root.gid == 0 && root.home == "/root" && root.groups.contains(0))
        let error = #expect(throws: HostError.self) { try UserIdentity.resolve(UserID(3_999_999_999)) }
        #expect(error?.code == .notFound)
        #expect(error?.sentence == "this machine knows no user with the id 3999999999")
    }
}
