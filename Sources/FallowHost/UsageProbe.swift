public import FallowModel

/// Measures a Slurm job by its own cgroups, found from what its steps report as their /proc/self/cgroup. Reads only.
public struct UsageProbe: Hashable, Sendable {
    /// The job's folders, where it has one of its own for that purpose.
    private let cpuFile: (path: String, isUnified: Bool)?
    private let memoryFolder: (path: String, isUnified: Bool)?
    private let hugeFolder: (path: String, isUnified: Bool)?

    public var measuresCPU: Bool { cpuFile != nil }
    public var measuresMemory: Bool { memoryFolder != nil }

    /// - Parameter cgroupText: a step's /proc/<pid>/cgroup: v1 lines, the v2 line, or both.
    /// - Returns: nil when the job has no cgroup of its own here: measure it by a `ProcessSnapshot`.
    public init?(cgroupText: String, job: JobID, mount: String = "/sys/fs/cgroup") {
        var cpu: (String, Bool)?
        var memory: (String, Bool)?
        var huge: (String, Bool)?
        for line in cgroupText.split(separator: "\n") {
            // `4:memory:/slurm_n1/uid_0/job_7/step_0`; in v2 `0::/system.slice/slurmstepd.scope/job_7/step_0`.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, let folder = Self.jobFolder(in: fields[2], job) else { continue }
            if fields[1].isEmpty {
                guard let root = Self.unifiedRoot(mount) else { continue }
                if HostFile.exists("\(root)\(folder)/cpu.stat") { cpu = cpu ?? ("\(root)\(folder)/cpu.stat", true) }
                if HostFile.exists("\(root)\(folder)/memory.stat") { memory = memory ?? ("\(root)\(folder)", true) }
                if HostFile.exists("\(root)\(folder)/cgroup.procs") { huge = huge ?? ("\(root)\(folder)", true) }
                continue
            }
            for controller in fields[1].split(separator: ",") {
                let path = "\(mount)/\(controller)\(folder)"
                switch controller {
                case "cpuacct" where HostFile.exists("\(path)/cpuacct.usage"): cpu = ("\(path)/cpuacct.usage", false)
                case "memory" where HostFile.exists("\(path)/memory.stat"): memory = (path, false)
                case "hugetlb" where HostFile.exists(path): huge = (path, false)
                default: break
                }
            }
        }
        guard cpu != nil || memory != nil else { return nil }
        cpuFile = cpu.map { (path: $0.0, isUnified: $0.1) }
        memoryFolder = memory.map { (path: $0.0, isUnified: $0.1) }
        hugeFolder = huge.map { (path: $0.0, isUnified: $0.1) }
    }

    /// What the whole job uses on this node. Reads a few small files; nil parts once the job is gone.
    public func read() -> JobUsage { JobUsage(cpu: readCPU(), memory: readMemory()) }

    private func readCPU() -> Duration? {
        guard let (path, isUnified) = cpuFile, let text = HostFile.trimmed(path) else { return nil }
        if isUnified { return HostFile.value(of: "usage_usec", in: text).map { .microseconds($0) } }
        return Int64(text).map { .nanoseconds($0) }
    }

    /// Anonymous and shared pages (tmpfs among them), the active part of the page cache, and huge pages.
    private func readMemory() -> ByteCount? {
        guard let (folder, isUnified) = memoryFolder, let text = HostFile.readIfPresent("\(folder)/memory.stat") else {
            return nil
        }
        // v1 counts the steps' folders below only in what begins with total_.
        let keys = isUnified ? ["anon", "shmem", "active_file"] : ["total_rss", "total_shmem", "total_active_file"]
        guard let anonymous = HostFile.value(of: keys[0], in: text) else { return nil }
        let others = keys.dropFirst().reduce(Int64(0)) { $0 + (HostFile.value(of: $1, in: text) ?? 0) }
        return ByteCount(anonymous + others + hugePages())
    }

    private func hugePages() -> Int64 {
        guard let (folder, isUnified) = hugeFolder else { return 0 }
        let ending = isUnified ? ".current" : ".usage_in_bytes"
        return HostFile.names(in: folder).reduce(0) { sum, name in
            // hugetlb.2MB.current; not hugetlb.2MB.rsvd.current, which are promises.
            guard name.hasPrefix("hugetlb."), name.hasSuffix(ending), !name.contains(".rsvd.") else { return sum }
            return sum + (HostFile.integer("\(folder)/\(name)") ?? 0)
        }
    }

    /// The path up to the component `job_<id>`; nil when there is none or the path is not plain.
    private static func jobFolder(in path: Substring, _ job: JobID) -> String? {
        let components = path.split(separator: "/")
        guard path.hasPrefix("/"), !components.contains(".."),
            let end = components.firstIndex(of: Substring("job_\(job)"))
        else { return nil }
        return "/" + components[...end].joined(separator: "/")
    }

    private static func unifiedRoot(_ mount: String) -> String? {
        [mount, "\(mount)/unified"].first { HostFile.exists("\($0)/cgroup.controllers") }
    }

    public static func == (a: UsageProbe, b: UsageProbe) -> Bool {
        a.cpuFile?.path == b.cpuFile?.path && a.memoryFolder?.path == b.memoryFolder?.path
            && a.hugeFolder?.path == b.hugeFolder?.path
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(cpuFile?.path)
        hasher.combine(memoryFolder?.path)
    }
}
