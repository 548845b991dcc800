internal import CFallowReport
internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Logging

/// What the agent answers to a record.
struct ReportAnswer {
    var status: fallow_report_status
    var vacatedLeases = 0
    var vacateMicroseconds = 0
    var lending = Offer()
    var message: String
    /// What `FALLOW_REMOTE_MEM_GRANTED` tells the job; nil: nothing.
    var remoteMemory: String?
}

extension NodeShell {
    /// A record from the plugin. What has to go is gone when the answer is given, once; what need not be waited for is done after it.
    func on(_ record: ReportRecord, answer: (ReportAnswer) -> Void) {
        let now = now
        ledger.advance(to: now, as: policy)
        if record.cordPulled {
            log.warning(
                "the plugin killed our tree while this agent did not answer", metadata: ["job": "\(record.step.jobID)"])
        }
        defer { if record.kind != .stepStart { jobMemory?.on(record) } }
        switch record.kind {
        case .hello:
            return answer(ReportAnswer(status: FALLOW_REPLY_OK, message: "fallowd \(fallowVersion) on \(name)"))
        case .stepStart:
            return stepStart(record, now, answer: answer)
        case .stepRunning:
            sampler.running(record.step.jobID, stepd: record.stepdPID, cgroup: record.cgroup)
            observeMapping(record.step.jobID, cgroup: record.cgroup)
        case .stepEnd:
            sampler.ended(record.step.jobID, stepd: record.stepdPID)
        case .jobEnd:
            sample(now: now)
            sampler.ended(record.step.jobID)
            carryOut(policy.onJobEnd(record.step.jobID, now: now))
            ledger.advance(to: now, as: policy)
            onChange()
        }
        answer(ReportAnswer(status: FALLOW_REPLY_OK, message: "noted"))
    }

    private func stepStart(_ record: ReportRecord, _ now: Timestamp, answer: (ReportAnswer) -> Void) {
        let start = ContinuousClock.now
        let revocations = policy.onStepStart(record.step, now: now)
        var stuck = 0
        for (reason, group) in Dictionary(grouping: revocations, by: \.reason) {
            stuck += revoke(group.map(\.leaseID), reason, detail: "for step \(record.step.jobID).\(record.step.stepID)")
        }
        let microseconds = Int((ContinuousClock.now - start).nanoseconds / 1000)
        // Asked for beside the loop, after this step has what it needs: neither waits for the other.
        jobMemory?.on(record)
        let lending = policy.lending(of: record.step.jobID, at: now)
        answer(
            ReportAnswer(
                status: stuck == 0 ? FALLOW_REPLY_OK : FALLOW_REPLY_STUCK, vacatedLeases: revocations.count,
                vacateMicroseconds: microseconds, lending: lending,
                message: stuck == 0
                    ? lendingSentence(record.step.jobID, lending)
                    : "\(stuck) processes of leases did not die; they are frozen",
                remoteMemory: jobMemory?.sentence(for: record.step.jobID)))
        if !revocations.isEmpty {
            outbox.add(
                ReclaimReport(
                    at: now, jobID: record.step.jobID, stepID: record.step.stepID,
                    leases: revocations.map(\.leaseID), vacateMicroseconds: microseconds, stuckProcesses: stuck))
        }
        sampler.running(record.step.jobID, stepd: record.stepdPID, cgroup: record.cgroup)
        ledger.advance(to: now, as: policy)
        if let remote = record.remoteMemory { ledger.remoteMemory(of: record.step.jobID, remote) }
        onChange()
    }

    /// What `FALLOW_LENDING` tells the job.
    private func lendingSentence(_ jobID: JobID, _ lending: Offer) -> String {
        guard let serverless = policy.jobs[jobID]?.serverless else {
            return "nothing: the job did not say --serverless"
        }
        guard serverless != .no else { return "nothing: the job said --serverless=no" }
        guard policy.rules.switches.lent else { return "nothing: this site does not lend from jobs (lend.lent)" }
        if lending.cores == 0, lending.memory == .zero {
            return "nothing yet: use is measured for \(Int(policy.rules.window.inSeconds)) s"
        }
        return "cpus=\(lending.cores),mem=\(lending.memory.optionText)"
    }

    /// Finds the steps that began before this agent did and of which the plugin does not speak again: without them a restarted
    /// agent would not measure the jobs that run, nor learn which CPUs cores are until another job starts. Once for each job
    /// of which Slurm alone has spoken for ten seconds: a pass over /proc takes this thread 10 µs a process, too much
    /// for every job that starts.
    func adoptSteps(now: Timestamp) {
        // Virtual nodes share one /proc, where a step does not say of which of them it is.
        guard settings.coreMapping == .auto else { return }
        lookedFor.formIntersection(policy.jobs.keys)
        let unheard = policy.jobs.values.filter {
            $0.reportedAt == nil && now - $0.firstSeenAt >= .seconds(10) && !lookedFor.contains($0.jobID)
        }.map(\.jobID)
        guard !unheard.isEmpty else { return }
        lookedFor.formUnion(unheard)
        for step in StepDaemon.running() where unheard.contains(step.job) {
            sampler.running(step.job, stepd: step.pid, cgroup: step.cgroup, isLate: true)
            observeMapping(step.job, cgroup: step.cgroup)
            log.info("a step runs that began before this agent", metadata: ["job": "\(step.job)"])
        }
    }

    /// Learns which CPUs a job's cores are from the cpuset that Slurm gave it.
    private func observeMapping(_ job: JobID, cgroup: String) {
        guard settings.coreMapping == .auto, let cores = policy.jobs[job]?.cores,
            let cpus = sampler.cpus(of: job, cgroup: cgroup)
        else { return }
        let before = coreMap.state
        coreMap.observe(cores: cores, cpus: cpus)
        policy.coresAreMapped = coreMap.state == .proven
        if coreMap.state != before {
            carryOut(policy.onTick(now: now))
            log.notice(
                "the mapping of Slurm's cores to CPUs is \(coreMap.state)",
                metadata: ["job": "\(job)", "cores": "\(cores)", "cpus": "\(cpus)"])
        }
    }
}
