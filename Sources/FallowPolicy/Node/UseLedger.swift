public import FallowModel
public import FallowWire

/// Adds up what a node and its jobs held, used and lent, as integrals over time since the agent's start.
public struct UseLedger: Sendable {
    public private(set) var integrals = NodeIntegrals()
    /// Jobs on the node, and ended ones until `forget`.
    public private(set) var jobs: [JobID: JobReport] = [:]
    private var last: Timestamp?

    public init() {}

    /// Lets time pass up to `now`, during which the node was as `policy` knows it. Time that goes back is ignored.
    public mutating func advance(to now: Timestamp, as policy: NodePolicy) {
        defer { last = max(now, last ?? now) }
        for job in policy.jobs.values where jobs[job.jobID] == nil || jobs[job.jobID]?.endedAt != nil {
            jobs[job.jobID] = JobReport(
                jobID: job.jobID, user: job.user, cores: job.cores, memory: job.memory, firstSeenAt: job.firstSeenAt)
        }
        let seconds = last.map { max(0, (now - $0).inSeconds) } ?? 0
        integrals.elapsedSeconds += seconds
        integrals.allocatedCoreSeconds += seconds * Double(policy.allocatedCores.count)
        integrals.allocatedByteSeconds += seconds * Double(policy.allocatedMemory.bytes)
        for lease in policy.leases.values {
            integrals.lentCoreSeconds += seconds * Double(lease.placement.cores.count)
            integrals.lentByteSeconds += seconds * Double(lease.placement.memory.bytes)
        }
        for id in Array(jobs.keys) {
            guard let job = policy.jobs[id] else {
                if jobs[id]?.endedAt == nil { jobs[id]?.endedAt = now }
                jobs[id]?.lending = Offer()
                continue
            }
            jobs[id]?.cores = job.cores
            jobs[id]?.memory = job.memory
            jobs[id]?.serverless = job.serverless?.description
            jobs[id]?.lending = policy.lending(of: id, at: now)
            jobs[id]?.heldCoreSeconds += seconds * Double(job.cores.count)
            jobs[id]?.heldByteSeconds += seconds * Double(job.memory.bytes)
            for lease in policy.leases.values {
                if lease.placement.coresBeneath == id {
                    jobs[id]?.lentCoreSeconds += seconds * Double(lease.placement.cores.count)
                }
                if lease.placement.memoryBeneath == id {
                    jobs[id]?.lentByteSeconds += seconds * Double(lease.placement.memory.bytes)
                }
            }
        }
    }

    /// A job used this much CPU time since the last word about it, and this much memory over `seconds`.
    public mutating func used(by job: JobID, cpuSeconds: Double, memory: ByteCount, over seconds: Double) {
        integrals.usedCoreSeconds += cpuSeconds
        integrals.usedByteSeconds += Double(memory.bytes) * seconds
        jobs[job]?.measured = true
        jobs[job]?.usedCoreSeconds += cpuSeconds
        jobs[job]?.usedByteSeconds += Double(memory.bytes) * seconds
        let peak = jobs[job]?.peakMemory ?? .zero
        jobs[job]?.peakMemory = max(peak, memory)
    }

    /// Leases used this much CPU time since the last word about them.
    public mutating func recovered(cpuSeconds: Double) { integrals.recoveredCoreSeconds += cpuSeconds }

    /// What the job asked for with `--remote-mem`.
    public mutating func remoteMemory(of job: JobID, _ text: String) { jobs[job]?.remoteMemory = text }

    /// Ended jobs that were reported and need not be kept.
    public mutating func forget(_ ids: some Sequence<JobID>) {
        for id in ids where jobs[id]?.endedAt != nil { jobs[id] = nil }
    }
}
