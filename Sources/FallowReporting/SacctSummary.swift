internal import FallowModel
public import FallowWire

/// What a dump of Slurm's accounting tells.
public struct SacctSummary: Sendable, Codable {
    public var lines = 0
    public var brokenLines = 0
    public var firstBrokenLines: [Int] = []
    public var jobs = 0
    /// Never started, or pending.
    public var jobsWithoutTime = 0
    /// Steps that follow no line of their job.
    public var stepsWithoutJob = 0
    public var hasUse = false
    public var hasPeak = false
    public var total = CapacityReport.JobTotal()
    /// Jobs whose CPU time Slurm measured, and what those held: efficiency is of these alone.
    public var measuredJobs = 0
    public var measuredHeldCoreSeconds = 0.0
    /// Core-seconds that jobs held and did not use, by user.
    public var unusedByUser: [String: Double] = [:]
    /// The dump names users: a job's `user` is an index into this.
    public var userNames: [String] = []
    /// The jobs that left most unused, the most first.
    public var worst: [JobUse] = []

    mutating func add(_ job: JobUse, jobLimit: Int) {
        jobs += 1
        total.heldCoreSeconds += job.heldCoreSeconds
        total.heldByteSeconds += job.heldByteSeconds
        guard job.measured else { return }
        measuredJobs += 1
        measuredHeldCoreSeconds += job.heldCoreSeconds
        total.usedCoreSeconds += job.usedCoreSeconds
        let unused = job.heldCoreSeconds - job.usedCoreSeconds
        unusedByUser[name(of: job), default: 0] += unused
        func left(_ job: JobUse) -> Double { job.heldCoreSeconds - job.usedCoreSeconds }
        guard worst.count < jobLimit || unused > left(worst[worst.count - 1]) else { return }
        let place = worst.firstIndex { left($0) < unused } ?? worst.count
        worst.insert(job, at: place)
        if worst.count > jobLimit { worst.removeLast() }
    }

    private func name(of job: JobUse) -> String {
        let index = Int(job.user.number)
        return index < userNames.count ? userNames[index] : "?"
    }

    /// The summary in 80 columns.
    public func text(columns: [JobColumn]? = nil) -> String {
        func share(_ part: Double, _ whole: Double) -> String { "\(decimal(whole > 0 ? part / whole * 100 : 0)) %" }
        var text = "\(jobs) jobs that ran, \(jobsWithoutTime) that never did"
        if brokenLines > 0 {
            let numbers = firstBrokenLines.map { "\($0)" }.joined(separator: ", ")
            let more = brokenLines > firstBrokenLines.count ? ", ..." : ""
            text += "; \(brokenLines) of \(lines) lines could not be read (lines \(numbers)\(more))"
        }
        text += "\n\n"
        var table = Table([("", .left), ("HOURS", .right), ("", .left)])
        table.add("CPUs held by jobs", ReportText.hours(total.heldCoreSeconds), "")
        if hasUse {
            table.add(
                "  of those measured", ReportText.hours(measuredHeldCoreSeconds), "\(measuredJobs) jobs")
            table.add(
                "  used", ReportText.hours(total.usedCoreSeconds), share(total.usedCoreSeconds, measuredHeldCoreSeconds)
            )
            let unused = measuredHeldCoreSeconds - total.usedCoreSeconds
            table.add("  held, not used", ReportText.hours(unused), share(unused, measuredHeldCoreSeconds))
        }
        table.add("GiB held by jobs", ReportText.hours(total.heldByteSeconds / Double(1 << 30)), "")
        text += table.text
        if !worst.isEmpty {
            let shown: [JobColumn] =
                columns ?? [.job, .user, .nodes, .cpus, .elapsed, .held, .efficiency, .memory, .peak]
            var jobs = Table(shown.map { ($0.title, $0.isLeft ? .left : .right) })
            for job in worst { jobs.add(shown.map { $0.text(job) { name(of: $0) } }) }
            text += "\n" + jobs.text
        }
        return text + notes
    }

    private var notes: String {
        var notes: [String] = []
        let users = unusedByUser.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5)
        if !users.isEmpty {
            let list = users.map { "\($0.key) \(ReportText.hours($0.value))" }.joined(separator: ", ")
            notes.append("most held and not used, CPU-hours: \(list)")
        }
        for job in worst.prefix(6) where job.ended {
            for advice in JobAdvice.advise(job, memoryIsOfTasks: true) {
                notes.append("`\(advice.directive)` fits job \(advice.job): \(advice.reason)")
            }
        }
        if !hasUse { notes.append("without the column TotalCPU nothing is known of use") }
        notes.append(
            "Slurm's accounting does not know what lay idle between jobs, nor memory beyond the largest task's:"
                + " for these, install the agents in report-only mode")
        let text = ReportText(userName: { _ in "" }, shareName: { _ in "" }, localTime: { _ in "" })
        return "\nNotes\n" + notes.map { text.wrapped($0) }.joined()
    }
}
