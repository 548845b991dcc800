public import FallowModel
public import FallowWire

/// Leases of memory alone: donors. They hold no cores, so nothing that happens to cores concerns them.
extension NodePolicy {
    /// Takes memory for a donor from one pool.
    ///
    /// - Parameters:
    ///   - memory: all that it takes of the node, what the donor itself needs included.
    ///   - pool: there and nowhere else, for others were told whose fate the lease shares; nil: unallocated first.
    /// - Throws: `NoRoom` with what there is.
    public mutating func openMemory(
        _ leaseID: LeaseID, user: UserID, memory: ByteCount, pool: LendingPool?, termEnds: Timestamp, now: Timestamp
    ) throws(NoRoom) -> Placement {
        guard memory > .zero else { throw NoRoom("\(memory) is no demand") }
        try checkMayOpen(leaseID, termEnds: termEnds, now: now)
        let free = freePools(at: now)
        let place: Pool
        if let pool {
            let there = free.first { $0.job == pool.beneath }
            guard let there, there.memory >= memory else {
                throw NoRoom("\(memory) of memory was asked for; \(there?.memory ?? .zero) is free to lend \(pool)")
            }
            place = there
        } else {
            guard let first = free.first(where: { $0.memory >= memory }) else {
                let most = free.map(\.memory).max() ?? .zero
                throw NoRoom("\(memory) of memory was asked for; \(most) is free to lend in one place")
            }
            place = first
        }
        let placement = Placement(cores: AbstractCoreSet(), memory: memory, memoryBeneath: place.job)
        take(placement, for: leaseID, user: user, termEnds: termEnds, now: now)
        return placement
    }

    /// What memory may be leased at `now` from each pool, unallocated first.
    public func memoryPools(at now: Timestamp) -> [MemoryOffer] {
        guard standstill(at: now) == nil else { return [] }
        return freePools(at: now).filter { $0.memory > .zero }
            .map { MemoryOffer(pool: LendingPool(beneath: $0.job), memory: $0.memory) }
    }

    /// The memory of a lease that was closed with `reclaiming` is the node's again.
    public mutating func reclaimed(_ leaseID: LeaseID) { reclaiming[leaseID] = nil }

    /// Memory of leases that are over, which the kernel is still freeing, by the pool it goes back to.
    func returningMemory() -> [JobID?: ByteCount] {
        reclaiming.values.reduce(into: [:]) { sums, placement in
            // What lay beneath a job that is gone goes back to nobody's.
            let job = placement.memoryBeneath.flatMap { jobs[$0] == nil ? nil : $0 }
            sums[job, default: .zero] += placement.memory
        }
    }

    /// The fewest of some leases that free `rest`, and of so many those that free least; all of them when all do not suffice.
    ///
    /// - Parameter leases: newest first; among equals the newer go.
    static func fewest(of leases: [(id: LeaseID, memory: ByteCount)], freeing rest: ByteCount) -> [LeaseID] {
        guard rest > .zero else { return [] }
        // The sort is by size alone, and stable by the position.
        let bySize = leases.enumerated().sorted {
            ($1.element.memory, $0.offset) < ($0.element.memory, $1.offset)
        }.map(\.element)
        var going: [LeaseID] = []
        var missing = rest
        for (index, lease) in bySize.enumerated() {
            if lease.memory >= missing {
                let smallest = bySize[index...].last { $0.memory >= missing }?.memory ?? lease.memory
                let last = bySize[index...].first { $0.memory == smallest } ?? lease
                return going + [last.id]
            }
            going.append(lease.id)
            missing -= lease.memory
        }
        return going
    }
}
