public import FallowModel
public import FallowWire

/// Adds up what a node and its jobs held, used and lent, as integrals over time since the agent's start.
public struct UseLedger: Sendable {
    public private(set) var integrals = NodeIntegrals()
    /// Jobs on the node, and ended ones until `forget`.
    public private(set) var jobs: [JobID: JobReport] = [:]
    private var last: Timestamp?
    /// Ended jobs, the longest ended first.
    private var endedInOrder: [JobID] = []
    /// How many ended jobs are kept until `forget`.
    public static let endedLimit = 4096

    public init() {}

    /// Lets time pass up to `now`, during which the node was as `policy` knows it. Time that goes back is ignored.
    public mutating func advance(to now: Timestamp, as policy: NodePolicy) {
        defer { last = max(now, last ?? now) }
        for job in policy.jobs.values where jobs[job.jobID] == nil || jobs[job.jobID]?.endedAt != nil {
            // A job that runs again under its id begins a new account.
            if jobs[job.jobID] != nil { endedInOrder.removeAll { $0 == job.jobID } }
            jobs[job.jobID] = JobReport(
                jobID: job.jobID, user: job.user, cores: job.cores, memory: job.memory, firstSeenAt: job.firstSeenAt)
        }
        let seconds = last.map { max(0, (now - $0).inSeconds) } ?? 0
        integrals.elapsedSeconds += seconds
        integrals.allocatedCoreSeconds += seconds * Double(policy.allocatedCores.count)
        integrals.allocatedByteSeconds += seconds * Double(policy.allocatedMemory.bytes)
        var beneath: [JobID: (coreSeconds: Double, byteSeconds: Double)] = [:]
        for lease in policy.leases.values {
            let place = lease.placement
            let coreSeconds = seconds * Double(place.cores.count)
            let byteSeconds = seconds * Double(place.memory.bytes)
            integrals.lentCoreSeconds += coreSeconds
            integrals.lentByteSeconds += byteSeconds
            if let job = place.coresBeneath { beneath[job, default: (0, 0)].coreSeconds += coreSeconds }
            if let job = place.memoryBeneath { beneath[job, default: (0, 0)].byteSeconds += byteSeconds }
        }
        let lending = policy.lending(at: now)
        for (id, var report) in jobs where report.endedAt == nil {
            if let job = policy.jobs[id] {
                report.cores = job.cores
                report.memory = job.memory
                report.serverless = job.serverless?.description
                report.lending = lending[id] ?? Offer()
                report.heldCoreSeconds += seconds * Double(job.cores.count)
                report.heldByteSeconds += seconds * Double(job.memory.bytes)
                report.lentCoreSeconds += beneath[id]?.coreSeconds ?? 0
                report.lentByteSeconds += beneath[id]?.byteSeconds ?? 0
            } else {
                report.endedAt = now
                report.lending = Offer()
                endedInOrder.append(id)
            }
            jobs[id] = report
        }
        dropOldest()
    }

    /// Keeps at most so many ended jobs while nobody takes the reports.
    private mutating func dropOldest() {
        guard endedInOrder.count > Self.endedLimit else { return }
        forget(endedInOrder.prefix(endedInOrder.count - Self.endedLimit))
    }

    /// A job used this much CPU time since the last word about it, and this much memory over `seconds`.
    public mutating func used(by job: JobID, cpuSeconds: Double, memory: ByteCount, over seconds: Double) {
        let cpuSeconds = max(0, cpuSeconds)
        let seconds = max(0, seconds)
        integrals.usedCoreSeconds += cpuSeconds
        integrals.usedByteSeconds += Double(memory.bytes) * seconds
        jobs[job]?.measured = true
        jobs[job]?.usedCoreSeconds += cpuSeconds
        jobs[job]?.usedByteSeconds += Double(memory.bytes) * seconds
        let peak = jobs[job]?.peakMemory ?? .zero
        jobs[job]?.peakMemory = max(peak, memory)
    }

    /// Leases used this much CPU time since the last word about them.
    public mutating func recovered(cpuSeconds: Double) {
        integrals.recoveredCoreSeconds += max(0, cpuSeconds)
    }

    /// What the job asked for with `--remote-mem`.
    public mutating func remoteMemory(of job: JobID, _ text: String) { jobs[job]?.remoteMemory = text }

    /// Ended jobs that were reported and need not be kept.
    public mutating func forget(_ ids: some Sequence<JobID>) {
        let gone = Set(ids).filter { jobs[$0]?.endedAt != nil }
        for id in gone { jobs[id] = nil }
        if !gone.isEmpty { endedInOrder.removeAll { gone.contains($0) } }
    }
}
