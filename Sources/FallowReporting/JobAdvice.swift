internal import FallowModel
public import FallowWire

/// What a job could ask for instead: from what it was seen to use, with room to spare.
public struct JobAdvice: Sendable, Hashable {
    /// As Slurm names it: `1234`, or `1234_7` for a task of an array.
    public var job: String
    /// The directive to change, `--mem=10G`.
    public var directive: String
    /// Why, in a few words.
    public var reason: String

    /// What is advised of a job that ended; nothing of one that was not measured or ran under a minute.
    ///
    /// - Parameter memoryIsOfTasks: the peak is that of the largest task, which says nothing of a node with several.
    public static func advise(_ job: JobUse, memoryIsOfTasks: Bool = false) -> [JobAdvice] {
        guard job.ended, job.measured, job.cores > 0, job.heldCoreSeconds > 60 * Double(job.cores) else { return [] }
        let knowsMemory = job.peakMemory > .zero && (!memoryIsOfTasks || job.facts.tasks <= 1)
        return [knowsMemory ? memory(job) : nil, cores(job)].compactMap { $0 }
    }

    private static func memory(_ job: JobUse) -> JobAdvice? {
        // A fifth above the peak; what saves under half, or under a GiB, is not worth a word.
        let wanted = max(job.peakMemory.bytes / 5 * 6, 64 << 20)
        let fits = wanted < 1 << 30 ? roundUp(wanted, 64 << 20) : roundUp(wanted, 1 << 30)
        guard fits <= job.memory.bytes / 2, job.memory.bytes - fits >= 1 << 30 else { return nil }
        let text = fits < 1 << 30 ? "\(fits >> 20)M" : "\(fits >> 30)G"
        let each = job.nodes > 1 ? " on each node" : ""
        return JobAdvice(
            job: job.facts.name, directive: "--mem=\(text)",
            reason: "it held \(job.memory)\(each) and used \(job.peakMemory) at most")
    }

    private static func cores(_ job: JobUse) -> JobAdvice? {
        let busy = job.usedCoreSeconds / job.heldCoreSeconds * Double(job.cores)
        let whole = Int(busy) + (busy - Double(Int(busy)) > 0.05 ? 1 : 0)
        let fits = max(job.nodes, whole, 1)
        guard fits * 2 <= job.cores else { return nil }
        // Where Slurm counts hardware threads, a core is asked for as two CPUs.
        let perCore = job.facts.cpus > job.cores ? job.facts.cpus / job.cores : 1
        let directive =
            job.facts.tasks <= 1
            ? "--cpus-per-task=\(fits * perCore)"
            : "--ntasks=\(max(job.nodes, (fits * job.facts.tasks + job.cores - 1) / job.cores))"
        return JobAdvice(
            job: job.facts.name, directive: directive,
            reason: "of its \(job.cores) cores \(decimal(busy)) worked on average")
    }

    private static func roundUp(_ value: Int64, _ unit: Int64) -> Int64 { (value + unit - 1) / unit * unit }
}

extension JobFacts {
    /// `1234`, or `1234_7` for a task of an array.
    public var name: String {
        guard let arrayJobID, let arrayTask else { return "\(jobID)" }
        return "\(arrayJobID)_\(arrayTask)"
    }
}

/// The sentences below a report: what could be changed, most worth first.
public enum ReportNotes {
    public static func notes(_ report: CapacityReport, jobLimit: Int = 6) -> [String] {
        var notes: [String] = []
        for loss in report.losses {
            notes.append("the history lost \(loss.writes) entries: \(loss.reason)")
        }
        if let total = report.total, total.unwatchedCoreSeconds > 0.05 * total.coreSeconds {
            notes.append(
                "no agent watched \(percent(total.unwatchedCoreSeconds, total.coreSeconds)): see `fallow nodes`")
        }
        if let total = report.total, total.lentCoreSeconds == 0 {
            let held = total.unusedCoreSeconds
            if held > 0.2 * total.coreSeconds {
                notes.append(
                    "jobs held \(percent(held, total.coreSeconds)) and did not use it: `--serverless` lends it")
            }
        }
        if let reclaims = report.reclaims, reclaims.late > 0 {
            notes.append(
                "\(reclaims.late) of \(reclaims.count) reclaims took over 10 ms: fallowd's log says on which nodes")
        }
        return notes + advice(report.jobs, limit: jobLimit)
    }

    /// One line a directive: tasks of one array share theirs, with what fits all of them that are listed.
    private static func advice(_ jobs: [JobUse], limit: Int) -> [String] {
        var lines: [String] = []
        var arrays = Set<JobID>()
        for job in jobs where lines.count < limit {
            if let array = job.facts.arrayJobID {
                guard arrays.insert(array).inserted else { continue }
                let tasks = jobs.filter { $0.facts.arrayJobID == array }
                let neediest = tasks.max { ($0.peakMemory, $0.usedCoreSeconds) < ($1.peakMemory, $1.usedCoreSeconds) }
                for line in JobAdvice.advise(neediest ?? job) {
                    lines.append("`\(line.directive)` fits array \(array): of task \(line.job), \(line.reason)")
                }
            } else {
                lines += JobAdvice.advise(job).map { "`\($0.directive)` fits job \($0.job): \($0.reason)" }
            }
        }
        return Array(lines.prefix(limit))
    }

    private static func percent(_ part: Double, _ whole: Double) -> String {
        "\(decimal(whole > 0 ? part / whole * 100 : 0)) % of the core time"
    }
}
