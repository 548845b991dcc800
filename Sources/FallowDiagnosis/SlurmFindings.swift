/// What Slurm's configuration has to be for lending, and what of it stands in the way.
public enum SlurmFindings {
    /// - Parameter areCoresLogical: the site has said so: nothing is pinned.
    public static func all(_ config: SlurmConfigText, areCoresLogical: Bool) -> [Finding] {
        var findings = [prologFlags(config), memoryIsCounted(config)]
        if !areCoresLogical { findings.append(coresAreConfined(config)) }
        findings.append(memoryIsConfined(config))
        findings += powerSaving(config)
        return findings
    }

    private static func prologFlags(_ config: SlurmConfigText) -> Finding {
        let flags = config["PrologFlags"] ?? ""
        let words = Set(flags.lowercased().split(separator: ",").map { $0.filter { !$0.isWhitespace } })
        // Contain implies Alloc.
        guard words.contains("contain") else {
            return Finding(
                .broken, "PrologFlags", "is '\(flags)': allocations without a step would be taken for idle",
                mend: "slurm.conf: PrologFlags=Alloc,Contain")
        }
        return Finding(.good, "PrologFlags", flags)
    }

    private static func memoryIsCounted(_ config: SlurmConfigText) -> Finding {
        let memory = config["SelectTypeParameters"] ?? ""
        return memory.uppercased().contains("MEMORY")
            ? Finding(.good, "SelectTypeParameters", memory)
            : Finding(
                .warning, "SelectTypeParameters", "is '\(memory)': Slurm does not account memory, so none can be lent",
                mend: "slurm.conf: SelectTypeParameters=CR_Core_Memory")
    }

    private static func coresAreConfined(_ config: SlurmConfigText) -> Finding {
        let plugins = config["TaskPlugin"] ?? ""
        let mend = "slurm.conf: TaskPlugin=task/cgroup,task/affinity; cgroup.conf: ConstrainCores=yes"
        guard plugins.contains("cgroup") else {
            return Finding(
                .warning, "TaskPlugin", "is '\(plugins)': cores are not constrained, so none are lent beneath jobs",
                mend: mend)
        }
        guard isYes(config["ConstrainCores"]) else {
            return Finding(
                .warning, "ConstrainCores",
                "is '\(config["ConstrainCores"] ?? "not said")': which CPUs a job's cores are cannot be proven, so none are lent "
                    + "beneath jobs", mend: mend)
        }
        return Finding(.good, "core constraint", "task/cgroup, ConstrainCores=yes")
    }

    private static func memoryIsConfined(_ config: SlurmConfigText) -> Finding {
        let plugins = config["TaskPlugin"] ?? ""
        guard plugins.contains("cgroup"), isYes(config["ConstrainRAMSpace"]) else {
            return Finding(
                .warning, "ConstrainRAMSpace",
                "Slurm does not hold jobs to their memory: one that takes more than it asked for takes what leases were given",
                mend: "slurm.conf: TaskPlugin=task/cgroup,task/affinity; cgroup.conf: ConstrainRAMSpace=yes")
        }
        return Finding(.good, "memory constraint", "ConstrainRAMSpace=yes")
    }

    private static func powerSaving(_ config: SlurmConfigText) -> [Finding] {
        guard let program = config.said("SuspendProgram"),
            let time = config.said("SuspendTime"), !time.uppercased().hasPrefix("INFINITE"), !time.hasPrefix("-1")
        else { return [] }
        return [
            Finding(
                .warning, "SuspendProgram",
                "\(program) powers nodes down that no job uses for \(time), whatever is leased there: their leases end",
                mend: "fallow disable unallocated, or slurm.conf: SuspendExcNodes= with the nodes that lend")
        ]
    }

    private static func isYes(_ text: String?) -> Bool { ["yes", "true", "1"].contains(text?.lowercased() ?? "") }
}
