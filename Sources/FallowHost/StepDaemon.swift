public import FallowModel
internal import Glibc

/// A slurmstepd that runs on this machine, and the job that it looks after.
public struct StepDaemon: Hashable, Sendable {
    public var job: JobID
    public var pid: Int32
    /// The text of its /proc/<pid>/cgroup.
    public var cgroup: String

    public init(job: JobID, pid: Int32, cgroup: String) {
        self.job = job
        self.pid = pid
        self.cgroup = cgroup
    }

    /// Every one of the machine, from one pass over /proc: a short file for each process, two more for each slurmstepd.
    ///
    /// A slurmstepd says in its own command line of which step it is (`slurmstepd: [7.batch]`; Slurm's
    /// `slurmstepd.c`). Any process may say so, hence those of `owner` alone are believed.
    /// - Parameters:
    ///   - procfs: where /proc is.
    ///   - owner: whose slurmstepds are; root's, outside tests.
    public static func running(procfs: String = "/proc", owner: UserID = .root) -> [StepDaemon] {
        HostFile.names(in: procfs).compactMap { name in
            guard let pid = Int32(name), HostFile.trimmed("\(procfs)/\(name)/comm") == "slurmstepd" else { return nil }
            var status = stat()
            guard stat("\(procfs)/\(name)", &status) == 0, status.st_uid == owner.number,
                let title = HostFile.readIfPresent("\(procfs)/\(name)/cmdline"), let job = job(ofTitle: title),
                let cgroup = HostFile.readIfPresent("\(procfs)/\(name)/cgroup")
            else { return nil }
            return StepDaemon(job: job, pid: pid, cgroup: cgroup)
        }
    }

    /// The job of `slurmstepd: [7.0]`; nil for components of heterogeneous jobs (`7+1.0`), whose own id it does not say.
    package static func job(ofTitle title: String) -> JobID? {
        let start = "slurmstepd: ["
        guard title.hasPrefix(start) else { return nil }
        let step = title.dropFirst(start.count).prefix { $0 != "]" }
        guard let dot = step.firstIndex(of: "."), let number = UInt32(step[..<dot]) else { return nil }
        return JobID(number)
    }
}
