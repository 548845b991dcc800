internal import FallowHost
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Glibc
internal import Logging

extension NodeShell {
    /// Why nothing is granted in an agent's last moments.
    static let stopping = "its agent is being stopped"

    /// Measures every job and every lease, and lets the ledger and the policy know.
    func sample(now: Timestamp) {
        ledger.advance(to: now, as: policy)
        let seconds = lastSampleAt.map { max(0, (now - $0).inSeconds) } ?? 0
        lastSampleAt = now
        var going: [Revocation] = []
        for sample in sampler.look(at: policy.jobs.keys) {
            ledger.used(by: sample.jobID, cpuSeconds: sample.newCPUSeconds, memory: sample.memory, over: seconds)
            going += policy.onSample(sample.jobID, cpuSeconds: sample.cpuSeconds, memory: sample.memory, now: now)
        }
        for executor in executors.values { countUse(of: executor) }
        carryOut(Array(Set(going)))
    }

    /// The node's report, as of now.
    func report(instance: UInt64, sequence: UInt64, startedAt: Timestamp, agentURL: String) -> NodeReport {
        let now = now
        ledger.advance(to: now, as: policy)
        return NodeReport(
            node: name, agentURL: agentURL, version: fallowVersion, instance: instance, sequence: sequence, at: now,
            instanceStartedAt: startedAt, cores: policy.rules.cores, memory: policy.rules.memory,
            offer: isStopping ? Offer(cores: 0, memory: .zero) : policy.offer(at: now),
            memoryPools: !isStopping && access(settings.donorPath, X_OK) == 0 ? policy.memoryPools(at: now) : nil,
            withheldReason: isStopping ? Self.stopping : policy.standstill(at: now), switches: policy.rules.switches,
            integrals: ledger.integrals, jobs: ledger.jobs.values.sorted { $0.jobID < $1.jobID },
            leases: executors.values.map(\.report).sorted { $0.leaseID.number < $1.leaseID.number },
            ended: Array(outbox.ended.prefix(500)), reclaims: Array(outbox.reclaims.prefix(500)),
            pressure: Pressure.read().map {
                NodePressure(
                    cpuPercent: $0.cpu?.some.averageOver10sPercent,
                    memoryPercent: $0.memory?.some.averageOver10sPercent,
                    ioPercent: $0.io?.some.averageOver10sPercent)
            }, plugin: plugin)
    }

    /// The co-scheduler took a report and answered.
    func on(_ instructions: NodeInstructions, answering report: NodeReport) {
        let now = now
        ledger.advance(to: now, as: policy)
        outbox.confirm(ended: report.ended.count, reclaims: report.reclaims.count)
        ledger.forget(report.jobs.filter { $0.endedAt != nil }.map(\.jobID))
        let own = LendingSwitches(unallocated: settings.lendUnallocated, lent: settings.lendLent)
        let switches = instructions.switches.applied(to: own)
        if switches != policy.rules.switches {
            log.notice(
                "switches set by the co-scheduler",
                metadata: ["unallocated": "\(switches.unallocated)", "lent": "\(switches.lent)"])
            carryOut(policy.onSwitches(switches, now: now))
        }
        if let view = instructions.slurm { carryOut(policy.onSlurmView(view, now: now)) }
        carryOut(instructions.end.map { Revocation($0.leaseID, $0.reason) })
    }
}
