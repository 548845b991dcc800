/// What there is to say of the plugin's line and file.
public enum PluginFindings {
    static let subject = "plugin"

    /// The line that loads it.
    public static func line(of stack: PlugStack, path: String) -> [Finding] {
        var findings = stack.greedyIncludes.map {
            Finding(
                .warning, "plugstack",
                "'include \($0)' takes editors' copies and leftovers of packages for plugins, too",
                mend: "\(path): include \($0).conf")
        }
        let lines = stack.lines(naming: "spank_fallow.so")
        guard let line = lines.first else {
            findings.append(
                Finding(
                    .warning, subject, "no line of \(path) or what it includes loads spank_fallow.so here",
                    mend: "echo 'optional spank_fallow.so' > /etc/slurm/plugstack.conf.d/fallow.conf; "
                        + "\(path): include plugstack.conf.d/*.conf"))
            return findings
        }
        if lines.count > 1 {
            findings.append(
                Finding(
                    .warning, subject, "\(lines.count) lines load it: each job is reported \(lines.count) times",
                    mend: "leave one line with spank_fallow.so in \(path) and what it includes"))
        }
        if line.first != "optional" {
            findings.append(
                Finding(
                    .broken, subject, "it is loaded as '\(line.first ?? "")': an error of ours would drain nodes",
                    mend: "write 'optional' in place of '\(line.first ?? "")' in \(path) or what it includes"))
        }
        return findings
    }

    /// Whether Slurm will load the file.
    ///
    /// - Parameters:
    ///   - built: the plugin's own `plugin_version`, 0xYYMMPP; nil: the file is no plugin that can be opened.
    ///   - slurm: what `scontrol --version` says: `slurm 22.05.8`.
    public static func file(_ path: String, built: UInt32?, slurm: String?) -> Finding {
        guard let built else {
            return Finding(
                .broken, subject, "\(path) is not there, or is no SPANK plugin",
                mend: "install the package fallow-slurm, or make install; else correct the line's path")
        }
        guard let slurm, let release = self.release(slurm) else {
            return Finding(
                .warning, subject, "\(path) is for Slurm \(text(built)); which Slurm is here, scontrol does not say",
                mend: "put Slurm's commands into PATH")
        }
        guard release == built >> 8 else {
            return Finding(
                .broken, subject,
                "\(path) was built for Slurm \(text(built)), and here is \(slurm): Slurm will not load it",
                mend: "install the fallow-slurm that was built for this release, or make install with its libslurm-dev")
        }
        return Finding(.good, subject, "\(path), for Slurm \(text(built))")
    }

    /// Whether every node's steps load the build that lies here: options travel from the one to the other.
    ///
    /// - Parameter nodes: those that know what their steps load.
    /// - Returns: nil when none does.
    public static func others(own: String, nodes: [(node: String, build: String)]) -> Finding? {
        guard !nodes.isEmpty else { return nil }
        let others = nodes.filter { $0.build != own }
        guard others.isEmpty else {
            return Finding(
                .warning, subject,
                "steps on \(few(others.map(\.node))) load another build of it than lies here",
                mend: "install the same fallow-slurm on login and compute nodes; steps that start then load it")
        }
        return Finding(.good, subject, "the same build that steps load on \(few(nodes.map(\.node)))")
    }

    static func release(_ words: String) -> UInt32? {
        let number = words.split(separator: " ").last ?? ""
        let parts = number.split(separator: ".").map { UInt32($0.prefix { $0.isNumber }) }
        guard parts.count >= 2, let year = parts[0], let month = parts[1], year < 256, month < 256 else { return nil }
        return year << 8 | month
    }
    static func text(_ version: UInt32) -> String {
        let month = version >> 8 & 255
        return "\(version >> 16).\(month < 10 ? "0" : "")\(month)"
    }
}

/// `a, b, c and 997 more`.
func few(_ names: [String]) -> String {
    names.count <= 4
        ? names.joined(separator: ", ") : names.prefix(3).joined(separator: ", ") + " and \(names.count - 3) more"
}
