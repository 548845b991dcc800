internal import FallowHost
internal import FallowModel
internal import Glibc

/// Measures the jobs of the node: by a job's own cgroup where Slurm makes one, by the processes below its slurmstepds
/// where not. Confined to the event loop's thread; a sample costs a few file reads a job, or one pass over /proc.
struct JobSampler {
    private struct Watched {
        var stepds: Set<Int32> = []
        var probe: UsageProbe?
        /// Nobody has counted before: what the job used until the first look is not this agent's to count.
        var isLate = false
        /// What was counted so far; a fall of the measured value (processes that ended) is a new base, not a loss.
        var total: Duration = .zero
        var last: Duration = .zero
    }

    /// What one look saw of one job.
    struct Sample {
        var jobID: JobID
        /// CPU time since the job's first sample here.
        var cpuSeconds: Double
        /// CPU time since the last sample.
        var newCPUSeconds: Double
        var memory: ByteCount
    }

    private var watched: [JobID: Watched] = [:]

    /// A step of the job runs: its slurmstepd, and the text of its /proc/<pid>/cgroup.
    /// - Parameter isLate: the job began before this agent did.
    mutating func running(_ job: JobID, stepd: Int32, cgroup: String, isLate: Bool = false) {
        watched[job, default: Watched(isLate: isLate)].stepds.insert(stepd)
        if let probe = UsageProbe(cgroupText: cgroup, job: job) { watched[job]?.probe = probe }
    }

    mutating func ended(_ job: JobID, stepd: Int32) { watched[job]?.stepds.remove(stepd) }
    mutating func ended(_ job: JobID) { watched[job] = nil }

    /// Looks at every job that is still there.
    mutating func look(at jobs: some Collection<JobID>) -> [Sample] {
        watched = watched.filter { jobs.contains($0.key) }
        var snapshot: ProcessSnapshot?
        return watched.keys.compactMap { id in
            guard let entry = watched[id] else { return nil }
            var usage = entry.probe?.read() ?? JobUsage(cpu: nil, memory: nil)
            if usage.cpu == nil || usage.memory == nil {
                let processes = snapshot ?? ProcessSnapshot.read()
                snapshot = processes
                let seen = processes.usage(ofDescendantsOf: Array(entry.stepds))
                usage.cpu = usage.cpu ?? seen.cpu
                usage.memory = usage.memory ?? seen.memory
            }
            guard let cpu = usage.cpu, let memory = usage.memory else { return nil }
            let new = entry.isLate ? .zero : max(.zero, cpu - entry.last)
            watched[id]?.isLate = false
            watched[id]?.last = cpu
            watched[id]?.total += new
            return Sample(
                jobID: id, cpuSeconds: (entry.total + new).inSeconds, newCPUSeconds: new.inSeconds, memory: memory)
        }
    }

    /// The CPUs that Slurm confines the job to; nil when it does not confine it or has no cgroup of its own.
    func cpus(of job: JobID, cgroup text: String, mount: String = "/sys/fs/cgroup") -> MachineCPUSet? {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[2].contains("/job_\(job)/"), !parts[2].contains("..") else { continue }
            let isV2 = parts[1].isEmpty
            guard isV2 || parts[1].split(separator: ",").contains("cpuset") else { continue }
            let components = parts[2].split(separator: "/")
            guard let last = components.firstIndex(of: "job_\(job)") else { continue }
            let folder = "/" + components[...last].joined(separator: "/")
            let file = isV2 ? "\(mount)\(folder)/cpuset.cpus.effective" : "\(mount)/cpuset\(folder)/cpuset.cpus"
            var buffer = [UInt8](repeating: 0, count: 4096)
            let descriptor = open(file, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            let count = read(descriptor, &buffer, buffer.count)
            let list = String(decoding: buffer[..<max(0, count)], as: UTF8.self).filter { !$0.isWhitespace }
            if let cpus = MachineCPUSet(parsing: list), !cpus.isEmpty { return cpus }
        }
        return nil
    }
}

extension Topology {
    /// The CPUs of each core in the machine's logical order, by which Slurm numbers its abstract cores.
    var cpusOfCores: [MachineCPUSet] {
        var package: [MachineCPUSet: Int] = [:]
        for cpu in cpus { package[cpu.core] = cpu.package }
        func key(_ core: MachineCPUSet) -> (Int, Int) { (package[core] ?? 0, core.first { _ in true } ?? 0) }
        return cores.sorted { key($0) < key($1) }
    }
}
