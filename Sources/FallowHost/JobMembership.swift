public import FallowModel

/// Which processes belong to a job of this node, by what its slurmstepds reported: the job's own cgroup where Slurm makes one, else
/// descent from a slurmstepd. What a process says of itself, its environment included, is not asked.
public struct JobMembership: Sendable {
    /// slurmstepds of the job's steps.
    public private(set) var stepds: Set<Int32> = []
    /// `controllers:folder` of the job, by hierarchy.
    public private(set) var folders: Set<String> = []

    /// Generations that are looked at: more lie between no program and its slurmstepd.
    private static let depthLimit = 256

    public init(stepds: Set<Int32> = [], folders: Set<String> = []) {
        self.stepds = stepds
        self.folders = folders
    }

    /// A step of the job runs.
    /// - Parameter cgroupText: its slurmstepd's or task's /proc/<pid>/cgroup.
    public mutating func stepRuns(stepd: Int32, cgroupText: String, job: JobID) {
        if stepd > 1 { stepds.insert(stepd) }
        for line in cgroupText.split(separator: "\n") {
            if let folder = Self.folder(of: job, in: line) { folders.insert(folder) }
        }
    }

    public mutating func stepEnded(stepd: Int32) { stepds.remove(stepd) }

    /// Whether a process is of the job now. Whose process it is has to be known otherwise: the kernel gives process ids again.
    public func holds(_ pid: Int32, procfs: String = "/proc") -> Bool {
        guard pid > 1 else { return false }
        if let text = HostFile.readIfPresent("\(procfs)/\(pid)/cgroup") {
            for line in text.split(separator: "\n") where folders.contains(where: { Self.isBelow(line, $0) }) {
                return true
            }
        }
        var next = pid
        for _ in 0..<Self.depthLimit {
            if stepds.contains(next) { return true }
            guard let text = HostFile.readIfPresent("\(procfs)/\(next)/stat"),
                let entry = ProcessSnapshot.parse(text), entry.parent > 1
            else { return false }
            next = entry.parent
        }
        return false
    }

    /// `5:memory:/slurm_n1/uid_0/job_7/step_0` \u{2192} `memory:/slurm_n1/uid_0/job_7`.
    private static func folder(of job: JobID, in line: Substring) -> String? {
        let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, fields[2].hasPrefix("/") else { return nil }
        let components = fields[2].split(separator: "/")
        guard !components.contains(".."), let end = components.firstIndex(of: Substring("job_\(job)")) else {
            return nil
        }
        return "\(fields[1]):/" + components[...end].joined(separator: "/")
    }

    private static func isBelow(_ line: Substring, _ folder: String) -> Bool {
        let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, !fields[2].split(separator: "/").contains("..") else { return false }
        let place = "\(fields[1]):\(fields[2])"
        return place == folder || place.hasPrefix(folder + "/")
    }
}
