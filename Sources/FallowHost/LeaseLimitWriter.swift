internal import FallowModel

/// Writes a lease's limits into its folders.
enum LeaseLimitWriter {
    private static let periodMicroseconds = 100_000

    static func check(_ limits: LeaseLimits, missing: Set<CgroupController>) throws(HostError) {
        guard limits.memory > .zero, limits.processes > 0, limits.cpuQuotaCores.map({ $0 > 0 }) ?? true,
            limits.cpus.map({ !$0.isEmpty }) ?? true
        else {
            throw HostError(
                .badRequest, "a lease needs memory, processes and, where limited, CPUs above zero: \(limits)")
        }
        if limits.cpus != nil, missing.contains(.cpuset) {
            throw HostError(.unsupported, "a lease cannot be pinned here: the cpuset cgroup controller is missing")
        }
    }

    /// Makes an empty folder one that a process can enter: a v1 cpuset starts without CPUs and takes none then.
    static func prepare(_ folder: LeaseCgroup.Folder) throws(HostError) {
        guard folder.hierarchy.controllers.contains(.cpuset), !folder.hierarchy.isUnified else { return }
        for file in ["cpuset.mems", "cpuset.cpus"] {
            try HostFile.write(HostFile.trimmed("\(folder.parent)/\(file)") ?? "", to: "\(folder.path)/\(file)")
        }
    }

    static func apply(_ limits: LeaseLimits, to folder: LeaseCgroup.Folder) throws(HostError) {
        let controllers = folder.hierarchy.controllers
        let write = { (text: String, name: String) throws(HostError) in
            try HostFile.write(text, to: "\(folder.path)/\(name)")
        }
        let unified = folder.hierarchy.isUnified
        if controllers.contains(.cpuset) {
            if let cpus = limits.cpus { try write(cpus.description, "cpuset.cpus") }
        }
        if controllers.contains(.memory) {
            let bytes = String(limits.memory.bytes)
            if unified {
                try write(bytes, "memory.max")
                // Absent where the kernel has no swap accounting.
                _ = HostFile.tryWrite("0", to: "\(folder.path)/memory.swap.max")
                // A lease dies whole: half of one would only look alive.
                _ = HostFile.tryWrite("1", to: "\(folder.path)/memory.oom.group")
            } else {
                try write(bytes, "memory.limit_in_bytes")
                _ = HostFile.tryWrite("0", to: "\(folder.path)/memory.swappiness")
                _ = HostFile.tryWrite(bytes, to: "\(folder.path)/memory.memsw.limit_in_bytes")
            }
        }
        if controllers.contains(.pids) { try write(String(limits.processes), "pids.max") }
        if controllers.contains(.cpu), let cores = limits.cpuQuotaCores {
            let quota = cores * periodMicroseconds
            if unified {
                try write("\(quota) \(periodMicroseconds)", "cpu.max")
            } else {
                try write(String(periodMicroseconds), "cpu.cfs_period_us")
                try write(String(quota), "cpu.cfs_quota_us")
            }
        }
    }
}
