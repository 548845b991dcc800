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
    /// (`cpus=2`) stay lent. While no mapping of cores is proven, everything goes.
    public mutating func onStepStart(_ step: StepStart, now: Timestamp) -> [Revocation] {
        let cores = step.jobCores ?? rules.allCores
        let memory = step.memory > .zero ? min(step.memory, rules.memory) : rules.memory
        var job =
            jobs[step.jobID]
            ?? JobOnNode(
                jobID: step.jobID, user: step.user, cores: cores, memory: memory, at: now, window: rules.window)
        job.user = step.user
        job.cores = cores
        job.memory = memory
        if let serverless = step.serverless { job.serverless = serverless }
        job.reportedAt = now
        // The extern step runs no task of the user's: it only makes the job known.
        if step.stepID != .extern { job.use.restart() }
        ended[step.jobID] = nil
        jobs[step.jobID] = job
        guard coresAreMapped else {
            return leases.keys.sorted(by: { $0.number < $1.number }).map { Revocation($0, .reclaimed) }
        }
        return overdrawn(at: now).map { Revocation($0, .reclaimed) }
    }

    /// The job holds nothing on this node any more.
    public mutating func onJobEnd(_ jobID: JobID, now: Timestamp) -> [Revocation] {
        ended[jobID] = now
        guard jobs.removeValue(forKey: jobID) != nil else { return [] }
        return overdrawn(at: now).map { Revocation($0, .reclaimed) }
    }

    /// What a job was measured to use: CPU time since its start, and memory now.
    public mutating func onSample(_ jobID: JobID, cpuSeconds: Double, memory: ByteCount, now: Timestamp) -> [Revocation]
    {
        jobs[jobID]?.use.add(cpuSeconds: cpuSeconds, memory: memory, at: now)
        return overdrawn(at: now).map { Revocation($0, .reclaimed) }
    }

    /// Slurm's view, by which jobs are found whose messages were lost, and jobs that are silent.
    ///
    /// A job that Slurm shows and no plugin spoke of is held, not lent from. A job that the plugin spoke of before the view
    /// was taken, and that the view does not show, has ended.
    public mutating func onSlurmView(_ newView: SlurmNodeView, now: Timestamp) -> [Revocation] {
        if let view, newView.at < view.at { return [] }
        view = newView
        rules.cores = newView.cores > 0 ? newView.cores : rules.cores
        rules.memory = newView.memory > .zero ? newView.memory : rules.memory
        let shown = Set(newView.jobs.map(\.jobID))
        for seen in newView.jobs {
            if let endedAt = ended[seen.jobID], newView.at < endedAt || seen.state == "COMPLETING" { continue }
            ended[seen.jobID] = nil
            if jobs[seen.jobID] == nil {
                jobs[seen.jobID] = JobOnNode(
                    jobID: seen.jobID, user: seen.user, cores: seen.cores, memory: seen.memory, at: now,
                    window: rules.window)
            } else if jobs[seen.jobID]?.reportedAt == nil {
                jobs[seen.jobID]?.cores = seen.cores
                jobs[seen.jobID]?.memory = seen.memory
            }
            jobs[seen.jobID]?.suspended = seen.state == "SUSPENDED"
        }
        for (id, job) in jobs
        where !shown.contains(id) && (job.reportedAt ?? job.firstSeenAt) + rules.clockMargin < newView.at {
            jobs[id] = nil
        }
        // A tombstone has done its work when Slurm no longer shows the job.
        ended = ended.filter { shown.contains($0.key) || $0.value > newView.at }
        return onTick(now: now)
    }

    /// The site's switches changed.
    public mutating func onSwitches(_ switches: LendingSwitches, now: Timestamp) -> [Revocation] {
        rules.switches = switches
        return onTick(now: now)
    }

    /// Time passes: terms end, views grow old.
    public mutating func onTick(now: Timestamp) -> [Revocation] {
        var going = leases.filter { $0.value.termEnds <= now }.map { Revocation($0.key, .expired) }
        if standstill(at: now) != nil {
            going += leases.keys.map { Revocation($0, .withdrawn) }
        } else {
            going += overdrawn(at: now).map { Revocation($0, .reclaimed) }
        }
        var seen: Set<LeaseID> = []
        return going.filter { seen.insert($0.leaseID).inserted }.sorted { $0.leaseID.number < $1.leaseID.number }
    }
}
