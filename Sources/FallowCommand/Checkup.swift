internal import FallowConfiguration
internal import FallowControl
internal import FallowLocal
internal import FallowModel
internal import FallowWire
internal import Subprocess

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Looks at this machine and at the cluster, one thing after the other. Every look is bounded.
struct Checkup {
    let settings: Settings
    let common: CommonOptions

    func findings() async -> [Finding] {
        var findings = [Finding(.good, "configuration", "readable, every key known")]
        findings.append(agent())
        findings.append(contentsOf: breakers())
        findings.append(await munge())
        findings.append(await controller())
        findings.append(contentsOf: await slurm())
        findings.append(contentsOf: kernel())
        findings.append(RDMACheckup(settings: settings).finding())
        return findings
    }

    private func agent() -> Finding {
        let path =
            ProcessInfo.processInfo.environment["FALLOW_CLIENT_SOCKET"] ?? settings.runtimeDirectory + "/client.sock"
        do {
            let connection = try LocalConnection.connect(path: path, type: .stream, timeout: .seconds(1))
            connection.close()
            return Finding(.good, "agent", "fallowd listens on \(path)")
        } catch {
            return Finding(
                .broken, "agent", "no fallowd answers on \(path): \(error)", mend: "systemctl enable --now fallowd")
        }
    }

    private func breakers() -> [Finding] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: settings.runtimeDirectory)) ?? []
        let breakers = files.filter { $0.hasPrefix("breaker.") }
        guard !breakers.isEmpty else { return [] }
        return [
            Finding(
                .warning, "circuit breaker",
                "the plugin gave up on fallowd for \(breakers.count) jobs; fallowd removes this when it is well",
                mend: "systemctl restart fallowd; journalctl -u fallowd")
        ]
    }

    private func munge() async -> Finding {
        let munge = Munge(socket: settings.mungeSocket)
        do {
            let credential = try await munge.encode(Data("doctor".utf8), restrictTo: nil)
            _ = try await munge.decode(credential)
            return Finding(.good, "munge", "munged seals and opens")
        } catch {
            return Finding(.broken, "munge", "\(error)", mend: "systemctl enable --now munge")
        }
    }

    private func controller() async -> Finding {
        do {
            let status = try await common.get("/v1/status", ClusterStatus.self)
            guard status.slurmAnswers else {
                return Finding(
                    .warning, "fallowctld", "it answers, but slurmctld does not answer it: nothing new is lent",
                    mend: "systemctl status slurmctld on fallowctld's node")
            }
            return Finding(
                status.nodesSilent == 0 ? .good : .warning, "fallowctld",
                "it answers; \(status.nodesReporting) nodes report, \(status.nodesSilent) are silent",
                mend: status.nodesSilent == 0 ? nil : "fallow nodes; systemctl status fallowd on the silent ones")
        } catch {
            return Finding(
                .broken, "fallowctld", "\(error)",
                mend: "set controller.url, or systemctl enable --now fallowctld on its node")
        }
    }

    private func slurm() async -> [Finding] {
        guard let text = await output(of: "scontrol", ["show", "config"]) else {
            return [
                Finding(
                    .warning, "slurm", "scontrol show config gives no answer within 5 s",
                    mend: "see whether slurmctld runs and whether Slurm's commands are in PATH")
            ]
        }
        let config = SlurmConfigText(text)
        var findings: [Finding] = []
        let flags = config["PrologFlags"] ?? ""
        if flags.contains("Alloc"), flags.contains("Contain") {
            findings.append(Finding(.good, "PrologFlags", flags))
        } else {
            findings.append(
                Finding(
                    .broken, "PrologFlags", "is '\(flags)': allocations without a step would be taken for idle",
                    mend: "slurm.conf: PrologFlags=Alloc,Contain"))
        }
        let memory = config["SelectTypeParameters"] ?? ""
        findings.append(
            memory.uppercased().contains("MEMORY")
                ? Finding(.good, "SelectTypeParameters", memory)
                : Finding(
                    .warning, "SelectTypeParameters",
                    "is '\(memory)': Slurm does not account memory, so none can be lent",
                    mend: "slurm.conf: SelectTypeParameters=CR_Core_Memory"))
        let task = config["TaskPlugin"] ?? ""
        if !task.contains("cgroup"), settings.coreMapping == .auto {
            findings.append(
                Finding(
                    .warning, "TaskPlugin", "is '\(task)': cores are not constrained, so none are lent beneath jobs",
                    mend: "slurm.conf: TaskPlugin=task/cgroup,task/affinity; cgroup.conf: ConstrainCores=yes"))
        }
        findings.append(plugstack(config))
        return findings
    }

    private func plugstack(_ config: SlurmConfigText) -> Finding {
        let path = config["PlugStackConfig"] ?? "/etc/slurm/plugstack.conf"
        let lines = PlugStack(path: path).lines(naming: "spank_fallow.so")
        guard let line = lines.first else {
            return Finding(
                .warning, "plugin", "no line of \(path) loads spank_fallow.so here",
                mend: "echo 'optional spank_fallow.so' > /etc/slurm/plugstack.conf.d/fallow.conf")
        }
        guard line.first == "optional" else {
            return Finding(
                .broken, "plugin", "it is loaded as '\(line.first ?? "")': an error of ours would drain nodes",
                mend: "write 'optional' in place of '\(line.first ?? "")' in \(path) or what it includes")
        }
        guard let file = line.dropFirst().first, file.hasPrefix("/") else {
            return Finding(.good, "plugin", "optional spank_fallow.so")
        }
        return FileManager.default.fileExists(atPath: file)
            ? Finding(.good, "plugin", "optional \(file)")
            : Finding(.broken, "plugin", "\(file) does not exist", mend: "make install, or correct the path in \(path)")
    }

    private func kernel() -> [Finding] {
        var findings: [Finding] = []
        let files = FileManager.default
        if files.fileExists(atPath: settings.cgroupMount + "/cgroup.controllers") {
            findings.append(Finding(.good, "cgroups", "v2"))
        } else if files.fileExists(atPath: settings.cgroupMount + "/memory/cgroup.procs") {
            let hybrid = files.fileExists(atPath: settings.cgroupMount + "/unified/cgroup.procs")
            findings.append(Finding(.good, "cgroups", hybrid ? "v1, with v2 beside it" : "v1"))
        } else {
            findings.append(
                Finding(
                    .broken, "cgroups", "neither v1 nor v2 is mounted at \(settings.cgroupMount)",
                    mend: "mount them, or set cgroup.mount"))
        }
        if !files.fileExists(atPath: "/proc/pressure/memory") {
            findings.append(
                Finding(.warning, "pressure", "this kernel tells no pressure (PSI)", mend: "boot with psi=1"))
        }
        return findings
    }

    /// What a program prints, within 5 s and 1 MiB; nil when it fails.
    private func output(of program: String, _ arguments: [String]) async -> String? {
        await withTaskGroup(of: String?.self) { group in
            group.addTask {
                let result = try? await Subprocess.run(
                    .name(program), arguments: Arguments(arguments), output: .string(limit: 1 << 20), error: .discarded)
                guard let result, result.terminationStatus.isSuccess else { return nil }
                return result.standardOutput
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(5))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}

/// `scontrol show config` as keys and values.
struct SlurmConfigText {
    private var values: [String: String] = [:]

    init(_ text: String) {
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = line[..<equals].filter { !$0.isWhitespace }
            let value = String(line[line.index(after: equals)...])
            values[key.lowercased()] = String(value.drop { $0 == " " })
        }
    }

    subscript(key: String) -> String? { values[key.lowercased()] }
}

/// A plugstack.conf with what it includes.
struct PlugStack {
    let path: String

    /// The words of each line that loads a plugin of that file name.
    func lines(naming name: String) -> [[String]] {
        Self.lines(in: path, depth: 0).filter { $0.count > 1 && $0[1].hasSuffix(name) }
    }

    private static func lines(in path: String, depth: Int) -> [[String]] {
        guard depth < 8, let data = FileManager.default.contents(atPath: path) else { return [] }
        var lines: [[String]] = []
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map { String($0) }
            guard words.first == "include", words.count > 1 else {
                if !words.isEmpty { lines.append(words) }
                continue
            }
            let folder = words[1].split(separator: "/").dropLast().joined(separator: "/")
            let base =
                words[1].hasPrefix("/")
                ? "/" + folder : path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/" + folder
            if words[1].hasSuffix("*.conf") || words[1].hasSuffix("*") {
                for file in ((try? FileManager.default.contentsOfDirectory(atPath: base)) ?? []).sorted()
                where !words[1].hasSuffix("*.conf") || file.hasSuffix(".conf") {
                    lines += Self.lines(in: base + "/" + file, depth: depth + 1)
                }
            } else {
                let file = words[1].split(separator: "/").last.map { String($0) } ?? ""
                lines += Self.lines(in: base + "/" + file, depth: depth + 1)
            }
        }
        return lines
    }
}
