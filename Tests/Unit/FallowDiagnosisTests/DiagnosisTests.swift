import FallowModel
import Testing

@testable import FallowDiagnosis

private let good = """
    Configuration data as of 2026-11-27T10:00:00
    PrologFlags             = Alloc,Contain
    SelectTypeParameters    = CR_CORE_MEMORY
    SuspendProgram          = (null)
    SuspendTime             = INFINITE
    TaskPlugin              = task/cgroup,task/affinity
    Epilog                  = (null)

    Cgroup Support Configuration:
    ConstrainCores          = yes
    ConstrainRAMSpace       = yes
    """

private func slurm(_ changes: [String: String] = [:], logical: Bool = false) -> [Finding] {
    var text = good
    for (key, value) in changes { text += "\n\(key) = \(value)" }
    return SlurmFindings.all(SlurmConfigText(text), areCoresLogical: logical)
}

/// What is not good has a line that mends it.
private func faults(_ findings: [Finding]) -> [String] {
    for finding in findings where finding.grade != .good { #expect(finding.mend?.isEmpty == false, "\(finding)") }
    return findings.filter { $0.grade != .good }.map(\.subject)
}

@Suite struct ExitStatuses {
    @Test func areOfTheWorst() {
        #expect([Finding]().exitStatus == 0)
        #expect([Finding(.good, "a", "b")].exitStatus == 0)
        #expect([Finding(.warning, "a", "b", mend: "c"), Finding(.good, "a", "b")].exitStatus == 1)
        #expect([Finding(.broken, "a", "b", mend: "c"), Finding(.warning, "a", "b", mend: "c")].exitStatus == 2)
    }
}

@Suite struct SlurmConfigurations {
    @Test func aGoodOneIsGood() { #expect(faults(slurm()) == []) }

    @Test(arguments: [
        ("PrologFlags", "(null)", "PrologFlags"), ("PrologFlags", "Alloc", "PrologFlags"),
        ("SelectTypeParameters", "CR_CPU", "SelectTypeParameters"), ("TaskPlugin", "task/affinity", "TaskPlugin"),
        ("ConstrainCores", "no", "ConstrainCores"), ("ConstrainRAMSpace", "no", "ConstrainRAMSpace"),
    ])
    func eachFaultIsFound(_ key: String, _ value: String, _ subject: String) {
        #expect(faults(slurm([key: value])).contains(subject))
    }

    @Test func containAloneIsEnough() { #expect(faults(slurm(["PrologFlags": "Contain"])) == []) }

    @Test func logicalCoresNeedNoConstraint() {
        #expect(!faults(slurm(["ConstrainCores": "no"], logical: true)).contains("ConstrainCores"))
    }

    @Test func powerSavingIsNamedWhereItActs() {
        #expect(faults(slurm(["SuspendProgram": "/sbin/off"])) == [])
        #expect(faults(slurm(["SuspendProgram": "/sbin/off", "SuspendTime": "600 sec"])) == ["SuspendProgram"])
        #expect(faults(slurm(["SuspendProgram": "/sbin/off", "SuspendTime": "-1 sec"])) == [])
    }

    @Test func filesAreAbsolutePathsAlone() {
        let config = SlurmConfigText("Epilog = /a/b,/c/*.sh,d\nProlog=(null)")
        #expect(config.files("epilog") == ["/a/b"])
        #expect(config.files("Prolog") == [])
    }
}

@Suite struct PlugStacks {
    private let files = [
        "/etc/slurm/plugstack.conf": "# a comment\ninclude plugstack.conf.d/*.conf\n",
        "/etc/slurm/plugstack.conf.d/fallow.conf": "optional spank_fallow.so deadline_ms=250\n",
        "/etc/slurm/plugstack.conf.d/other.conf": "required other.so # spank_fallow.so\n",
        "/etc/slurm/plugstack.conf.d/fallow.conf~": "required spank_fallow.so\n",
    ]
    private func stack(_ changes: [String: String] = [:]) -> PlugStack {
        let files = files.merging(changes) { $1 }
        return PlugStack(
            path: "/etc/slurm/plugstack.conf", read: { files[$0] },
            list: { folder in
                files.keys.filter { $0.hasPrefix(folder + "/") }.map { String($0.dropFirst(folder.count + 1)) }
            })
    }
    private func faultsOf(_ changes: [String: String]) -> [String] {
        faults(PluginFindings.line(of: stack(changes), path: "/etc/slurm/plugstack.conf"))
    }

    @Test func theInstalledOneIsGood() {
        #expect(faultsOf([:]) == [])
        #expect(stack().lines(naming: "spank_fallow.so").count == 1)
    }

    @Test func eachFaultIsFound() {
        #expect(faultsOf(["/etc/slurm/plugstack.conf": ""]) == ["plugin"])
        #expect(faultsOf(["/etc/slurm/plugstack.conf.d/fallow.conf": "required spank_fallow.so"]) == ["plugin"])
        #expect(faultsOf(["/etc/slurm/plugstack.conf": "include plugstack.conf.d/*"]).contains("plugstack"))
        #expect(faultsOf(["/etc/slurm/plugstack.conf.d/b.conf": "optional /opt/spank_fallow.so"]) == ["plugin"])
    }

    @Test func anIncludeOfItselfEnds() {
        #expect(stack(["/etc/slurm/plugstack.conf": "include plugstack.conf"]).lines.isEmpty)
    }

    @Test func aPluginOfAnotherReleaseIsFound() {
        #expect(PluginFindings.file("/p", built: 0x160508, slurm: "slurm 22.05.3").grade == .good)
        #expect(PluginFindings.file("/p", built: 0x160508, slurm: "slurm 23.02.1").grade == .broken)
        #expect(PluginFindings.file("/p", built: 0x160508, slurm: "slurm-wlm 22.05.8").grade == .good)
        #expect(PluginFindings.file("/p", built: nil, slurm: "slurm 22.05.3").grade == .broken)
        #expect(PluginFindings.file("/p", built: 0x160508, slurm: nil).grade == .warning)
        #expect(PluginFindings.file("/p", built: 0x160508, slurm: "no idea").grade == .warning)
    }
}

@Suite struct Scripts {
    @Test(arguments: [
        "pkill -u $SLURM_JOB_USER", "  pkill -9 -U \"$SLURM_UID\"", "/usr/bin/pkill -KILL -u $SLURM_JOB_UID",
        "killall -u $USER", "killall --user $USER", "loginctl terminate-user $SLURM_JOB_USER", "slay $SLURM_JOB_USER",
        "ps -o pid= -u $SLURM_UID | xargs kill -9", "kill -9 $(pgrep -u $SLURM_UID)",
        "[ -z \"$jobs\" ] && pkill -u $SLURM_JOB_USER",
    ])
    func thatKillUsersAreFound(_ line: String) {
        let finding = ScriptFindings.epilog("Epilog", path: "/e", text: "#!/bin/sh\n\(line)\n")
        #expect(finding.grade == .warning && finding.sentence.contains("/e:2") && finding.mend != nil)
    }

    @Test(arguments: [
        "# pkill -u $USER", "rm -rf /tmp/$SLURM_JOB_ID", "pkill fluentd", "kill -9 $pid", "pkill -u $USER --ns $$",
    ])
    func othersAreNot(_ line: String) {
        #expect(ScriptFindings.epilog("Epilog", path: "/e", text: line).grade == .good)
    }

    @Test func oneThatCannotBeReadIsSaid() {
        #expect(ScriptFindings.epilog("Epilog", path: "/e", text: nil).grade == .warning)
    }

    @Test func nodeHealthChecksThatMindLeasesAreFound() {
        let findings = ScriptFindings.healthCheck(
            path: "/usr/sbin/nhc", text: "#!/bin/bash\n",
            nodeHealthCheck:
                "# * || check_ps_loadavg 1\n * || check_fs_mount_rw /\n * || check_ps_unauth_users log syslog kill\n")
        #expect(faults(findings) == ["HealthCheckProgram"])
        #expect(findings[0].sentence.hasPrefix("nhc.conf:3: check_ps_unauth_users"))
        #expect(faults(ScriptFindings.healthCheck(path: "/h", text: "true", nodeHealthCheck: nil)) == [])
        #expect(
            faults(ScriptFindings.healthCheck(path: "/h", text: "pkill -u nobody", nodeHealthCheck: nil)).count == 1)
    }
}

@Suite struct Machines {
    @Test func clocksThatDisagreeAreFound() {
        #expect(MachineFindings.clock(aheadSeconds: 0.4).grade == .good)
        #expect(MachineFindings.clock(aheadSeconds: -5.25).grade == .warning)
        #expect(MachineFindings.clock(aheadSeconds: -5.25).sentence.hasPrefix("5.3 s behind"))
        #expect(MachineFindings.clock(aheadSeconds: 300).grade == .broken)
        #expect(MachineFindings.clock(aheadSeconds: .infinity).grade == .broken)
    }

    @Test func versionsThatDifferAreFound() {
        #expect(MachineFindings.versions(own: "1", controller: "1", nodes: [("a", "1")]).grade == .good)
        #expect(MachineFindings.versions(own: "1", controller: "2", nodes: []).grade == .warning)
        let many = MachineFindings.versions(own: "2", controller: "2", nodes: (0..<9).map { ("n\($0)", "1") })
        #expect(many.grade == .warning && many.sentence.contains("n0, n1, n2 and 6 more run 1"))
    }

    @Test func buildsOfThePluginThatDifferAreFound() {
        #expect(PluginFindings.others(own: "1", nodes: []) == nil)
        #expect(PluginFindings.others(own: "1", nodes: [("a", "1"), ("b", "1")])?.grade == .good)
        let mixed = PluginFindings.others(own: "1", nodes: [("a", "1"), ("b", "2")])
        #expect(mixed?.grade == .warning && mixed?.sentence.contains("steps on b load another") == true)
        #expect(mixed?.mend?.contains("fallow-slurm") == true)
    }

    @Test func roomThatEndsIsFound() {
        #expect(MachineFindings.room("/var/lib/fallow", of: "x", free: .gibibytes(5)).grade == .good)
        #expect(MachineFindings.room("/var/lib/fallow", of: "x", free: .mebibytes(500)).grade == .warning)
        #expect(MachineFindings.room("/var/lib/fallow", of: "x", free: .mebibytes(5)).grade == .broken)
        #expect(MachineFindings.room("/var/lib/fallow", of: "x", free: nil).grade == .warning)
    }

    @Test func coresThatSlurmNumbersInAnotherWayAreFound() {
        for state in ["logical", "unproven", "proven"] {
            #expect(MachineFindings.coreMapping(state).grade == .good)
        }
        let refuted = MachineFindings.coreMapping("refuted")
        #expect(refuted.grade == .warning && refuted.mend?.contains("slurmd -C") == true)
    }

    @Test func controllersThatAreMissingAreFound() {
        #expect(MachineFindings.controllers(["cpu", "memory", "pids", "io"], isUnified: true) == nil)
        let missing = MachineFindings.controllers(["cpu", "pids"], isUnified: false)
        #expect(missing?.grade == .broken && missing?.mend?.contains("cgroup_enable=memory") == true)
    }

    @Test func aKernelWithoutFaultsOfUsersIsFound() {
        #expect(MachineFindings.userfault(0, words: "").grade == .good)
        #expect(MachineFindings.userfault(1, words: "Operation not permitted").grade == .warning)
        #expect(MachineFindings.port("agent.listen", "0.0.0.0:1", refusal: nil).grade == .good)
        #expect(MachineFindings.port("agent.listen", "0.0.0.0:1", refusal: "refused").grade == .broken)
    }
}

@Suite struct PluginFiles {
    /// An ELF file with one dynamic symbol, laid out by hand: header, program header, two section headers, symbol, names, value.
    private static func elf(name: String = "plugin_version", symbolAddress: UInt64 = 0x1000) -> [UInt8] {
        func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
        }
        let (programs, sections) = (64, 64 + 56)
        let symbols = sections + 2 * 64
        let names = symbols + 24
        let value = names + name.utf8.count + 2
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1] + bytes(0, 26)
        file +=
            bytes(UInt64(programs), 8) + bytes(UInt64(sections), 8) + bytes(0, 6) + bytes(56, 2) + bytes(1, 2)
            + bytes(64, 2)
        file += bytes(2, 2) + bytes(0, 2)
        file +=
            bytes(1, 4) + bytes(0, 4) + bytes(UInt64(value), 8) + bytes(0x1000, 8) + bytes(0, 8) + bytes(4, 8)
            + bytes(4, 8) + bytes(0, 8)
        file +=
            bytes(0, 4) + bytes(11, 4) + bytes(0, 16) + bytes(UInt64(symbols), 8) + bytes(24, 8) + bytes(1, 4)
            + bytes(0, 20)
        file += bytes(0, 4) + bytes(3, 4) + bytes(0, 16) + bytes(UInt64(names), 8) + bytes(0, 32)
        file += bytes(1, 4) + bytes(0, 4) + bytes(symbolAddress, 8) + bytes(4, 8)
        return file + [0] + Array(name.utf8) + [0] + bytes(0x160508, 4)
    }

    @Test func theVersionIsReadWithoutLoadingAnything() {
        #expect(PluginFile.version(in: Self.elf()) == 0x160508)
        #expect(PluginFile.version(in: Self.elf(name: "plugin_versioN")) == nil)
        #expect(PluginFile.version(in: Self.elf(symbolAddress: 0x9000)) == nil)
        #expect(PluginFile.version(in: Array("optional nonsense".utf8)) == nil)
        #expect(PluginFile.version(in: []) == nil)
    }

    @Test func filesThatAreCutOrBrokenDoNoHarm() {
        let good = Self.elf()
        for length in good.indices { _ = PluginFile.version(in: Array(good[..<length])) }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            var bad = good
            for _ in 0..<3 {
                bad[Int.random(in: 6..<bad.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            _ = PluginFile.version(in: bad)
        }
    }
}
