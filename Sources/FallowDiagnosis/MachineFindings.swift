public import FallowModel

/// What there is to say of one machine, and of how it differs from the others.
public enum MachineFindings {
    /// MUNGE and our seals bear a difference, but not any; and reports of a node from the future are confusing long before.
    static let clockWarningSeconds = 2.0
    static let clockBrokenSeconds = 60.0

    /// - Parameter aheadSeconds: by how much this machine's clock is ahead of fallowctld's.
    public static func clock(aheadSeconds: Double) -> Finding {
        let away = aheadSeconds.magnitude
        let tenths = Double(Int(min(away, 1e9) * 10 + 0.5)) / 10
        guard away >= clockWarningSeconds else {
            return Finding(.good, "clock", "within \(clockWarningSeconds) s of fallowctld's")
        }
        return Finding(
            away >= clockBrokenSeconds ? .broken : .warning, "clock",
            "\(tenths) s \(aheadSeconds > 0 ? "ahead of" : "behind") fallowctld's; MUNGE and Slurm want clocks that agree",
            mend: "systemctl enable --now chrony (or systemd-timesyncd) on both machines")
    }

    /// - Parameters:
    ///   - own: the version of this command.
    ///   - controller: of fallowctld.
    ///   - nodes: of each agent that has said its own.
    public static func versions(own: String, controller: String, nodes: [(node: String, version: String)]) -> Finding {
        if controller != own {
            return Finding(
                .warning, "versions", "fallowctld is \(controller), the command here \(own)",
                mend: "install the same version on both machines, fallowctld's first")
        }
        let others = nodes.filter { $0.version != own }
        guard others.isEmpty else {
            return Finding(
                .warning, "versions",
                "\(few(others.map(\.node))) run \(Set(others.map(\.version)).sorted().joined(separator: ", ")), here is \(own)",
                mend: "upgrade these nodes; their leases end with a word to their clients")
        }
        return Finding(.good, "versions", "\(own) everywhere")
    }

    static let roomWarning = ByteCount.gibibytes(1)
    static let roomBroken = ByteCount.mebibytes(64)

    /// - Parameter free: nil: the folder cannot be looked at.
    public static func room(_ folder: String, of use: String, free: ByteCount?) -> Finding {
        guard let free else {
            return Finding(
                .warning, "disk", "\(folder), \(use), cannot be looked at", mend: "run fallow doctor as root")
        }
        guard free < roomWarning else { return Finding(.good, "disk", "\(free) free in \(folder)") }
        return Finding(
            free < roomBroken ? .broken : .warning, "disk", "only \(free) free in \(folder), \(use)",
            mend:
                "make room there, or set \(folder.hasPrefix("/run") ? "runtime_directory" : "state_directory") to another folder"
        )
    }

    /// - Parameter state: `AgentStatus.coreMapping`, what the agent knows of which CPUs Slurm's cores are.
    public static func coreMapping(_ state: String) -> Finding {
        let subject = "core mapping"
        switch state {
        case "refuted":
            return Finding(
                .warning, subject,
                "a step was confined to other CPUs than this machine's order gives its cores: none are lent beside or beneath jobs",
                mend:
                    "compare slurmd -C with the node's line in slurm.conf; then systemctl restart slurmd fallowd"
            )
        case "unproven":
            return Finding(
                .good, subject,
                "the next step that holds some of the cores tells which CPUs they are; until then only an empty node lends"
            )
        case "logical": return Finding(.good, subject, "cores are only counted, nothing is pinned (lend.core_mapping)")
        default: return Finding(.good, subject, "a step's cpuset has shown which CPUs Slurm's cores are")
        }
    }

    /// - Parameter offered: names of controllers that cgroups offer here.
    public static func controllers(_ offered: Set<String>, isUnified: Bool) -> Finding? {
        let missing = ["cpu", "memory", "pids"].filter { !offered.contains($0) }
        guard !missing.isEmpty else { return nil }
        return Finding(
            .broken, "cgroup controllers", "\(missing.joined(separator: ", ")) not offered here: fallowd cannot start",
            mend: isUnified
                ? "boot without cgroup_disable=; echo \(missing.map { "+" + $0 }.joined(separator: " ")) > "
                    + "/sys/fs/cgroup/cgroup.subtree_control"
                : "boot with cgroup_enable=\(missing.joined(separator: ",")), or mount \(missing.joined(separator: " and "))"
        )
    }

    /// - Parameter error: what the kernel said to a userfaultfd for this process's own faults; 0: it can.
    public static func userfault(_ error: Int32, words: String) -> Finding {
        guard error != 0 else {
            return Finding(.good, "userfaultfd", "this kernel serves page faults of ordinary users")
        }
        return Finding(
            .warning, "userfaultfd", "regions that behave as memory, and fallow run, do not work here: \(words)",
            mend:
                "Linux 5.11 or newer with CONFIG_USERFAULTFD; in a container, allow the system call. Put and get work without"
        )
    }

    /// - Parameter refusal: why nobody answers on the port, by this machine's own way; nil: somebody does.
    public static func port(_ key: String, _ address: String, refusal: String?) -> Finding {
        guard let refusal else { return Finding(.good, "port", "\(key) \(address) answers") }
        return Finding(
            .broken, "port", "fallowd is here, but nobody answers on \(key) \(address): \(refusal)",
            mend:
                "open the port in this machine's firewall, or set \(key) to one that is free; then systemctl restart fallowd"
        )
    }
}
