public import FallowModel
public import FallowWire

/// What the plugin said of a step that starts.
public struct StepStart: Sendable, Hashable {
    public var jobID: JobID
    public var stepID: StepID
    public var user: UserID
    /// The job's cores on this node; nil when the plugin could not tell: then all of the node's.
    public var jobCores: AbstractCoreSet?
    /// The step's own cores; nil: the job's.
    public var stepCores: AbstractCoreSet?
    /// The job's memory on this node; zero when unknown: then all of the node's.
    public var memory: ByteCount
    public var serverless: ServerlessRequest?
    public init(
        jobID: JobID, stepID: StepID, user: UserID, jobCores: AbstractCoreSet?, stepCores: AbstractCoreSet?,
        memory: ByteCount, serverless: ServerlessRequest?
    ) {
        self.jobID = jobID
        self.stepID = stepID
        self.user = user
        self.jobCores = jobCores
        self.stepCores = stepCores
        self.memory = memory
        self.serverless = serverless
    }
}

extension NodePolicy {
    /// A step is about to start: what has to be gone before its first task.
    ///
    /// A new job's cores and memory are taken out of what is unallocated. Beneath a job that lends by measurement a new
    /// step means that its use changes: everything there goes back and the watching begins anew. Cores that a job promised
    /// (`cpus=2`) stay lent, unless the step was given those very cores and not all of the job's. What is not pinned to
    /// proven CPUs goes.
    public mutating func onStepStart(_ step: StepStart, now: Timestamp) -> [Revocation] {
        // An id that comes with another user is another job, whose predecessor's end was lost.
        var job =
            jobs[step.jobID].flatMap { $0.user == step.user ? $0 : nil }
            ?? JobOnNode(jobID: step.jobID, user: step.user, at: now, window: rules.window)
        job.hold(step.jobCores, step.memory, of: rules, allCores: allCores)
        // No wins, whatever other steps say.
        if let serverless = step.serverless, job.serverless != .no { job.serverless = serverless }
        job.reportedAt = now
        // The extern step runs no task of the user's: it only makes the job known.
        if step.stepID != .extern {
            job.use.restart()
            let narrower = step.stepCores.flatMap { job.cores.isSubset(of: $0) ? nil : $0 }
            job.stepCores = narrower ?? AbstractCoreSet()
        }
        ended[step.jobID] = nil
        jobs[step.jobID] = job
        recount()
        return overdrawn(at: now).map { Revocation($0, .reclaimed) }
    }

    /// The job holds nothing on this node any more.
    public mutating func onJobEnd(_ jobID: JobID, now: Timestamp) -> [Revocation] {
        ended[jobID] = now
        // Without views nobody clears these; the oldest matter least.
        if ended.count > Self.tombstoneLimit, let oldest = ended.min(by: { $0.value < $1.value }) {
            ended[oldest.key] = nil
        }
        guard jobs.removeValue(forKey: jobID) != nil else { return [] }
        recount()
        return overdrawn(at: now).map { Revocation($0, .reclaimed) }
    }

    /// How many ended jobs are remembered.
    static let tombstoneLimit = 1024

    /// What a job was measured to use: CPU time since its start, and memory now.
    public mutating func onSample(_ jobID: JobID, cpuSeconds: Double, memory: ByteCount, now: Timestamp) -> [Revocation]
    {
        guard jobs[jobID] != nil else { return [] }
        jobs[jobID]?.use.add(cpuSeconds: cpuSeconds, memory: memory, at: now)
        jobs[jobID]?.latestMemory = memory
        return overdrawn(beneath: jobID, at: now).map { Revocation($0, .reclaimed) }
    }

    /// Slurm's view, by which jobs are found whose messages were lost, and jobs that are silent.
    ///
    /// A job that Slurm shows and no plugin spoke of is held, not lent from. A job that the plugin spoke of before the view
    /// was taken, and that the view does not show, has ended. One that Slurm started after the plugin's last word runs anew.
    public mutating func onSlurmView(_ newView: SlurmNodeView, now: Timestamp) -> [Revocation] {
        if let view, newView.at < view.at, viewAge(at: now) <= rules.viewMaximumAge, view.at <= now + rules.clockMargin
        {
            return onTick(now: now)
        }
        if newView.at != view?.at { viewHeardAt = now }
        view = newView
        rules.cores = newView.cores > 0 ? min(newView.cores, NodeRules.coresMaximum) : rules.cores
        rules.memory = newView.memory > .zero ? newView.memory : rules.memory
        recount()
        // By a clock that is ahead of ours a view would know more than it does.
        let takenAt = min(newView.at, now)
        for seen in newView.jobs { see(seen, takenAt: takenAt, now: now) }
        let shown = Set(newView.jobs.map(\.jobID))
        for (id, job) in jobs
        where !shown.contains(id) && (job.reportedAt ?? job.firstSeenAt) + rules.clockMargin < takenAt {
            jobs[id] = nil
        }
        // A tombstone has done its work when Slurm no longer shows the job.
        ended = ended.filter { shown.contains($0.key) || $0.value + rules.clockMargin > takenAt }
        recount()
        return onTick(now: now)
    }

    private mutating func see(_ seen: SlurmJobView, takenAt: Timestamp, now: Timestamp) {
        if let endedAt = ended[seen.jobID],
            takenAt < endedAt + rules.clockMargin || seen.state.hasPrefix("COMPLETING")
        {
            return
        }
        ended[seen.jobID] = nil
        var job = jobs[seen.jobID] ?? JobOnNode(jobID: seen.jobID, user: seen.user, at: now, window: rules.window)
        if let reportedAt = job.reportedAt, let started = seen.startedAt, reportedAt + rules.clockMargin < started {
            job = JobOnNode(jobID: seen.jobID, user: seen.user, at: now, window: rules.window)
        }
        if job.reportedAt == nil { job.hold(seen.cores, seen.memory, of: rules, allCores: allCores) }
        let suspended = seen.state.hasPrefix("SUSPENDED")
        // A suspended job uses nothing, which is no word about what it will use.
        if suspended || job.suspended { job.use.restart() }
        job.suspended = suspended
        jobs[seen.jobID] = job
    }

    /// The site's switches changed.
    public mutating func onSwitches(_ switches: LendingSwitches, now: Timestamp) -> [Revocation] {
        rules.switches = switches
        return onTick(now: now)
    }

    /// Time passes: terms end, views grow old.
    public mutating func onTick(now: Timestamp) -> [Revocation] {
        var reasons: [LeaseID: LeaseEnd] = [:]
        for id in overdrawn(at: now) { reasons[id] = .reclaimed }
        let nothing = standstill(at: now) != nil
        for (id, lease) in leases {
            let places = lease.placement.pools
            let isOff =
                !rules.switches.unallocated && places.contains(nil)
                || !rules.switches.lent && places.contains { $0 != nil }
            if nothing || isOff { reasons[id] = .withdrawn }
            if lease.termEnds <= now { reasons[id] = .expired }
        }
        return reasons.map { Revocation($0.key, $0.value) }.sorted { $0.leaseID.number < $1.leaseID.number }
    }
}
