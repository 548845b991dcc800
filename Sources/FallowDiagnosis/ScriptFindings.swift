/// What sites' scripts do that leases would suffer from.
public enum ScriptFindings {
    /// An epilog, prolog or task script.
    ///
    /// - Parameters:
    ///   - key: of slurm.conf: `Epilog`.
    ///   - text: nil: it cannot be read.
    public static func epilog(_ key: String, path: String, text: String?) -> Finding {
        guard let text else {
            return Finding(
                .warning, key, "\(path) cannot be read here: whether it kills users' processes is not known",
                mend: "run fallow doctor as root on a compute node")
        }
        for (number, line) in code(text) where killsUsers(line) {
            return Finding(
                .warning, key,
                "\(path):\(number) kills a user's processes when a job of theirs ends, and their leases with it",
                mend:
                    "\(path):\(number): spare the leases, by 'pkill --ns $$' in a job's name space, or by killing only what is "
                    + "not below /fallow.slice/ in /proc/PID/cgroup")
        }
        return Finding(.good, key, "\(path) kills no user's processes")
    }

    /// A health check: LBNL's NHC by its own configuration, or a script.
    public static func healthCheck(path: String, text: String?, nodeHealthCheck: String?) -> [Finding] {
        var findings: [Finding] = []
        for (number, line) in code(nodeHealthCheck ?? "") {
            guard let check = drains.first(where: { line.contains($0.check) }) else { continue }
            findings.append(
                Finding(
                    .warning, "HealthCheckProgram", "nhc.conf:\(number): \(check.check) \(check.what)",
                    mend: "nhc.conf:\(number): \(check.mend)"))
        }
        for (number, line) in code(text ?? "") where killsUsers(line) {
            findings.append(
                Finding(
                    .warning, "HealthCheckProgram",
                    "\(path):\(number) kills processes that no job started, so leases too",
                    mend: "\(path):\(number): spare what is below /fallow.slice/ in /proc/PID/cgroup"))
        }
        return findings.isEmpty ? [Finding(.good, "HealthCheckProgram", "\(path) minds no leases")] : findings
    }

    private static let drains: [(check: String, what: String, mend: String)] = [
        (
            "check_ps_unauth_users",
            "kills or drains for processes of users without a job: functions run as their user",
            "let it end, or add the exception 'fallow'"
        ),
        (
            "check_ps_userproc_lineage", "kills or drains for processes that are not Slurm's children: leases are none",
            "take the line out"
        ),
        ("check_ps_loadavg", "drains for the load, to which leases add", "raise the limit by the node's cores"),
        ("check_ps_cpu", "acts on processes by their CPU time, functions' too", "exempt fallow-executor"),
        ("check_ps_mem", "acts on processes by their memory, donors' too", "exempt fallow-donor and fallow-executor"),
    ]

    /// Lines without comments, by number.
    private static func code(_ text: String) -> [(Int, Substring)] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            let line = line.drop(while: \.isWhitespace)
            return line.isEmpty || line.first == "#" ? nil : (index + 1, line)
        }
    }

    /// `pkill -u`, `pkill -9 -U`, `killall --user`, `slay`, `skill -u`, `loginctl terminate-user`.
    static func killsUsers(_ line: Substring) -> Bool {
        let words = line.split { " \t;|&()`\"'".contains($0) }.map { String($0) }
        for (index, word) in words.enumerated() {
            let rest = words[(index + 1)...]
            switch word.split(separator: "/").last.map({ String($0) }) ?? word {
            case "pkill", "killall", "skill":
                let ofUser = rest.contains {
                    $0 == "--euid" || $0 == "--uid" || $0 == "--user" || $0.hasPrefix("--user=")
                        || $0.hasPrefix("--euid=")
                        || $0.hasPrefix("--uid=") || ($0.hasPrefix("-u") || $0.hasPrefix("-U"))
                }
                if ofUser, !rest.contains("--ns"), !rest.contains("-ns") { return true }
            case "slay": return true
            case "loginctl": if rest.contains("terminate-user") || rest.contains("kill-user") { return true }
            case "xargs", "kill":
                // `ps -u $USER -o pid= | xargs kill`, `kill $(pgrep -u $USER)`.
                if words.contains("ps") || words.contains("pgrep"),
                    words.contains(where: { $0.hasPrefix("-u") || $0.hasPrefix("-U") })
                {
                    return true
                }
            default: break
            }
        }
        return false
    }
}
