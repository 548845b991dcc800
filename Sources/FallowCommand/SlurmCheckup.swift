internal import FallowConfiguration
internal import FallowControl
internal import FallowDiagnosis
internal import FallowWire
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What this machine's Slurm commands and files say.
struct SlurmCheckup {
    let settings: Settings
    /// What fallowctld knows of the nodes; empty when it does not answer.
    let nodes: [NodeView]

    /// - Returns: also whether this machine is one of Slurm's nodes; nil: Slurm does not say.
    func findings() async -> (findings: [Finding], isComputeNode: Bool?) {
        guard let text = await ProgramOutput.of("scontrol", ["show", "config"]) else {
            let silence = Finding(
                .warning, "slurm", "scontrol show config gives no answer within 5 s",
                mend: "see whether slurmctld runs and whether Slurm's commands are in PATH")
            return ([silence], nil)
        }
        let config = SlurmConfigText(text)
        var findings = SlurmFindings.all(config, areCoresLogical: settings.coreMapping == .logical)
        findings += scripts(config)
        findings += await plugin(config)
        return (findings, await isComputeNode())
    }

    private func isComputeNode() async -> Bool? {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let node = settings.nodeName?.text ?? String(host.prefix { $0 != "." })
        guard let nodes = await ProgramOutput.of("sinfo", ["-h", "-N", "-o", "%N"]) else { return nil }
        return nodes.split(whereSeparator: \.isWhitespace).contains { $0 == node }
    }

    private func scripts(_ config: SlurmConfigText) -> [Finding] {
        var findings: [Finding] = []
        for key in ["Epilog", "Prolog", "TaskEpilog", "EpilogSlurmctld"] {
            for path in config.files(key) {
                findings.append(ScriptFindings.epilog(key, path: path, text: Self.text(path)))
            }
        }
        for path in config.files("HealthCheckProgram") {
            findings += ScriptFindings.healthCheck(
                path: path, text: Self.text(path), nodeHealthCheck: Self.text("/etc/nhc/nhc.conf"))
        }
        return findings
    }

    private func plugin(_ config: SlurmConfigText) async -> [Finding] {
        let path = config.files("PlugStackConfig").first ?? "/etc/slurm/plugstack.conf"
        let files = FileManager.default
        let stack = PlugStack(path: path, read: Self.text, list: { (try? files.contentsOfDirectory(atPath: $0)) ?? [] })
        var findings = PluginFindings.line(of: stack, path: path)
        guard let named = stack.lines(naming: "spank_fallow.so").first?[1] else { return findings }
        let folders = config["PluginDir"]?.split(separator: ":").map { String($0) } ?? []
        let file =
            named.hasPrefix("/") ? named : folders.map { "\($0)/\(named)" }.first { files.fileExists(atPath: $0) }
        let slurm = await ProgramOutput.of("scontrol", ["--version"])?.split(separator: "\n").first.map { String($0) }
        let bytes = file.flatMap(Self.bytes)
        findings.append(
            PluginFindings.file(
                file ?? "\(folders.first ?? "Slurm's plugin folder")/\(named)",
                built: bytes.flatMap { PluginFile.version(in: $0) }, slurm: slurm))
        if let bytes {
            let builds = nodes.compactMap { node in node.plugin.map { ("\(node.node)", $0) } }
            findings += PluginFindings.others(own: Seal.buildDigest(bytes), nodes: builds).map { [$0] } ?? []
        }
        return findings
    }

    /// nil when the file cannot be read, or is larger than any plugin is.
    private static func bytes(_ path: String) -> [UInt8]? {
        guard let data = FileManager.default.contents(atPath: path), data.count < 64 << 20 else { return nil }
        return Array(data)
    }

    /// A regular file's text, of at most a MiB.
    static func text(_ path: String) -> String? {
        guard
            let size =
                (try? FileManager.default.attributesOfItem(atPath: URL(filePath: path).resolvingSymlinksInPath().path))?[
                    .size] as? Int,
            size <= 1 << 20, let data = FileManager.default.contents(atPath: path)
        else { return nil }
        return String(decoding: data, as: UTF8.self)
    }
}
