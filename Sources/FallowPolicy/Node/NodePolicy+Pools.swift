internal import FallowModel

/// One place that capacity is lent from: what no job holds, or what one job does not use.
struct Pool {
    /// Nil: unallocated.
    var job: JobID?
    /// All that may be lent here, leases that stand included.
    var cores: AbstractCoreSet
    var memory: ByteCount
}

extension NodePolicy {
    /// The pools at `now`, unallocated first, then jobs by rising id.
    func pools(at now: Timestamp) -> [Pool] {
        var pools = unallocatedPool().map { [$0] } ?? []
        guard rules.switches.lent else { return pools }
        for job in jobs.values.sorted(by: { $0.jobID < $1.jobID }) {
            if let pool = pool(beneath: job, at: now) { pools.append(pool) }
        }
        return pools
    }

    private func unallocatedPool() -> Pool? {
        guard rules.switches.unallocated else { return nil }
        // While it is unproven which CPUs the cores are, nothing keeps a lease off a job's: only an empty node is lent.
        let cores =
            coresAreMapped || jobs.isEmpty
            ? allCores.subtracting(allocatedCores).subtracting(withheld) : AbstractCoreSet()
        // Memory that did not come back from beneath a job that is gone is missing here.
        let stuck = stuckMemory { $0 == nil || jobs[$0!] == nil }
        let memory = rules.memory - allocatedMemory - rules.unallocatedHeadroom - stuck
        return Pool(job: nil, cores: cores, memory: max(.zero, memory))
    }

    /// What may be lent beneath a job; nil when it is suspended, or the plugin has not spoken of it.
    private func pool(beneath job: JobOnNode, at now: Timestamp) -> Pool? {
        guard rules.switches.lent, !job.suspended, job.reportedAt != nil else { return nil }
        // Beneath a job nothing is lent while it is unproven which CPUs its cores are, nor cores that two jobs hold.
        let cores =
            coresAreMapped
            ? job.lendableCores(at: now, keepCores: rules.keepCores)
                .intersection(allCores).subtracting(sharedCores).subtracting(withheld)
            : AbstractCoreSet()
        // Where jobs may use more together than there is, what one does not use is what another may need.
        let memory =
            allocatedMemory <= rules.memory
            ? job.lendableMemory(
                at: now, headroomPercent: rules.memoryHeadroomPercent, headroom: rules.memoryHeadroom)
            : .zero
        return Pool(job: job.jobID, cores: cores, memory: max(.zero, memory - stuckMemory { $0 == job.jobID }))
    }

    private func stuckMemory(where matches: (JobID?) -> Bool) -> ByteCount {
        withheldPlacements.reduce(.zero) { matches($1.memoryBeneath) ? $0 + $1.memory : $0 }
    }

    /// Memory of leases by the pool that it was taken from.
    func takenMemory() -> [JobID?: ByteCount] {
        leases.values.reduce(into: [:]) { $0[$1.placement.memoryBeneath, default: .zero] += $1.placement.memory }
    }

    /// Leases that stand where nothing may be lent any more. Where only some have to go: of donors the fewest that are
    /// enough, since what they hold can be fetched again; then executors, newest first.
    func overdrawn(at now: Timestamp) -> [LeaseID] {
        guard !leases.isEmpty else { return [] }
        return overdrawn(pools(at: now)) { _ in true }
    }

    /// The same, for what stands beneath one job, when nothing else can have changed.
    func overdrawn(beneath jobID: JobID, at now: Timestamp) -> [LeaseID] {
        guard !leases.isEmpty, let job = jobs[jobID] else { return [] }
        return overdrawn(pool(beneath: job, at: now).map { [$0] } ?? []) { $0 == jobID }
    }

    private func overdrawn(_ pools: [Pool], concerns: (JobID?) -> Bool) -> [LeaseID] {
        let pools = Dictionary(uniqueKeysWithValues: pools.map { ($0.job, $0) })
        var going: Set<LeaseID> = []
        var demand: [JobID?: ByteCount] = [:]
        for (id, lease) in leases {
            let place = lease.placement
            // What is not pinned may run on any CPU, so it stands only while no job is there.
            let isLoose = !lease.isPinned && !place.cores.isEmpty && !jobs.isEmpty
            let isOff =
                concerns(place.coresBeneath) && !place.cores.isEmpty
                && !(pools[place.coresBeneath].map { place.cores.isSubset(of: $0.cores) } ?? false)
            if isLoose || isOff {
                going.insert(id)
            } else if concerns(place.memoryBeneath) {
                demand[place.memoryBeneath, default: .zero] += place.memory
            }
        }
        let excess = demand.compactMapValues { $0 }.filter { $0.value > pools[$0.key]?.memory ?? .zero }
        func newestFirst(_ ids: some Sequence<LeaseID>) -> [LeaseID] {
            ids.map { (startedAt: leases[$0]?.startedAt ?? Timestamp(nanosecondsSinceEpoch: 0), id: $0) }
                .sorted { ($0.startedAt, $0.id.number) > ($1.startedAt, $1.id.number) }.map(\.id)
        }
        for (job, demanded) in excess {
            var rest = demanded - (pools[job]?.memory ?? .zero)
            let standing = leases.filter { $0.value.placement.memoryBeneath == job && !going.contains($0.key) }
            let donors = newestFirst(standing.keys).filter { standing[$0]?.placement.cores.isEmpty == true }
                .map { (id: $0, memory: standing[$0]?.placement.memory ?? .zero) }.filter { $0.memory > .zero }
            for id in Self.fewest(of: donors, freeing: rest) {
                going.insert(id)
                rest -= standing[id]?.placement.memory ?? .zero
            }
            for id in newestFirst(standing.keys) where rest > .zero && !going.contains(id) {
                guard let memory = standing[id]?.placement.memory, memory > .zero else { continue }
                going.insert(id)
                rest -= memory
            }
        }
        return newestFirst(going)
    }
}
