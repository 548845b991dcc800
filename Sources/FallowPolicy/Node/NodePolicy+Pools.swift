internal import FallowModel

/// One place that capacity is lent from: what no job holds, or what one job does not use.
struct Pool {
    /// Nil: unallocated.
    var job: JobID?
    /// All that may be lent here, leases that stand included.
    var cores: AbstractCoreSet
    var memory: ByteCount
    /// What no lease stands on.
    var freeCores: AbstractCoreSet
    var freeMemory: ByteCount
}

extension NodePolicy {
    /// The pools at `now`, unallocated first, then jobs by rising id.
    func pools(at now: Timestamp) -> [Pool] {
        var pools: [Pool] = []
        if rules.switches.unallocated {
            let free = rules.allCores.subtracting(allocatedCores).subtracting(withheld)
            pools.append(pool(nil, free, max(.zero, rules.memory - allocatedMemory)))
        }
        guard rules.switches.lent else { return pools }
        for job in jobs.values.sorted(by: { $0.jobID < $1.jobID }) where !job.suspended && job.reportedAt != nil {
            // Beneath a job nothing is lent while it is unproven which CPUs its cores are, nor cores that two jobs hold.
            let others = jobs.values.reduce(AbstractCoreSet()) {
                $1.jobID == job.jobID ? $0 : $0.union($1.cores)
            }
            let cores =
                coresAreMapped
                ? job.lendableCores(at: now, keepCores: rules.keepCores).subtracting(others).subtracting(withheld)
                : AbstractCoreSet()
            let memory = job.lendableMemory(
                at: now, headroomPercent: rules.memoryHeadroomPercent, headroom: rules.memoryHeadroom)
            pools.append(pool(job.jobID, cores, memory))
        }
        return pools
    }

    private func pool(_ job: JobID?, _ cores: AbstractCoreSet, _ memory: ByteCount) -> Pool {
        let taken = leases.values.reduce(ByteCount.zero) { sum, lease in
            lease.placement.memoryBeneath == job ? sum + lease.placement.memory : sum
        }
        return Pool(
            job: job, cores: cores, memory: memory, freeCores: cores.subtracting(leasedCores),
            freeMemory: max(.zero, memory - taken))
    }

    /// Leases that stand where nothing may be lent any more, newest first where only some have to go.
    func overdrawn(at now: Timestamp) -> [LeaseID] {
        let pools = pools(at: now)
        var going: [LeaseID] = []
        let newestFirst = leases.sorted { ($0.value.startedAt, $0.key.number) > ($1.value.startedAt, $1.key.number) }
        for (id, lease) in newestFirst {
            let corePool = pools.first { $0.job == lease.placement.coresBeneath }
            if !lease.placement.cores.isSubset(of: corePool?.cores ?? AbstractCoreSet()) { going.append(id) }
        }
        for job in Set(leases.values.map(\.placement.memoryBeneath)) {
            var excess = ByteCount.zero - (pools.first { $0.job == job }?.memory ?? .zero)
            for lease in leases.values where lease.placement.memoryBeneath == job { excess += lease.placement.memory }
            for (id, lease) in newestFirst where lease.placement.memoryBeneath == job {
                if going.contains(id) { excess -= lease.placement.memory }
            }
            for (id, lease) in newestFirst where lease.placement.memoryBeneath == job && excess > .zero {
                guard !going.contains(id) else { continue }
                going.append(id)
                excess -= lease.placement.memory
            }
        }
        return going
    }
}
