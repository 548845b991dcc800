import FallowModel
import FallowWire
import Testing

@testable import FallowPolicy

extension NodePolicy {
    /// Opens a donor, unallocated first unless a pool is named.
    @discardableResult
    mutating func donor(
        _ id: UInt64, _ memory: ByteCount, _ pool: LendingPool? = nil, _ seconds: Double = 0
    ) throws -> Placement {
        try openMemory(
            LeaseID(id), user: UserID(2000), memory: memory, pool: pool, termEnds: at(seconds + 3600), now: at(seconds))
    }
}

/// Leases of memory on a node of 8 cores and 64 GiB.
@Suite struct MemoryLeaseTests {
    @Test func unallocatedMemoryGoesFirstAndNoCoresAreTaken() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(1))
        let place = try policy.donor(1, gib(10), nil, 2)
        #expect(place.memoryBeneath == nil && place.cores.isEmpty)
        #expect(policy.offer(at: at(2)).cores == 4)
        #expect(
            policy.memoryPools(at: at(2)) == [
                MemoryOffer(pool: .unallocated, memory: gib(46)),
                MemoryOffer(pool: LendingPool(beneath: JobID(1)), memory: gib(4)),
            ])
    }

    @Test func aPoolThatIsNamedIsTheOneOrNone() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(1))
        #expect(try policy.donor(1, gib(4), LendingPool(beneath: JobID(1)), 2).memoryBeneath == JobID(1))
        let error = #expect(throws: NoRoom.self) { try policy.donor(2, gib(1), LendingPool(beneath: JobID(1)), 2) }
        #expect(error?.description.contains("beneath job 1") == true)
        #expect(throws: NoRoom.self) { try policy.donor(3, gib(1), LendingPool(beneath: JobID(9)), 2) }
        #expect(throws: NoRoom.self) { try policy.donor(4, .zero, nil, 2) }
    }

    @Test func coresDoNotConcernADonor() throws {
        var policy = node()
        try policy.donor(1, gib(1))
        // Every core goes to a job, which needs little memory; nothing is pinned and nothing is proven.
        #expect(ids(policy.onStepStart(step(1, "0-7", gib(2)), now: at(1))) == [])
        var unmapped = node(logical: false)
        try unmapped.donor(1, gib(1))
        #expect(ids(unmapped.onStepStart(step(1, "0-7", gib(2)), now: at(1))) == [])
    }

    @Test func switchingOneKindOffWithdrawsItsDonorsAlone() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(1))
        try policy.donor(1, gib(1), .unallocated, 2)
        try policy.donor(2, gib(1), LendingPool(beneath: JobID(1)), 2)
        #expect(ids(policy.onSwitches(LendingSwitches(unallocated: false, lent: true), now: at(3))) == [1])
        policy.close(LeaseID(1))
        #expect(ids(policy.onSwitches(LendingSwitches(unallocated: true, lent: false), now: at(4))) == [2])
    }

    @Test func aStepTakesAsManyDonorsAsItNeedsAndNoMore() throws {
        var policy = node()
        // 60 of 64 GiB in donors; a job of 9 GiB needs 5 of them: the 6 alone is enough.
        for (id, size) in [(1, 6), (2, 2), (3, 2), (4, 50)] { try policy.donor(UInt64(id), gib(Int64(size))) }
        #expect(ids(policy.onStepStart(step(1, "0", gib(9)), now: at(1))) == [1])
        policy.close(LeaseID(1))
        #expect(ids(policy.onTick(now: at(2))) == [])
        // Nothing smaller suffices now: the large one goes, alone.
        #expect(ids(policy.onStepStart(step(2, "1", gib(8)), now: at(3))) == [4])
    }

    @Test func donorsGoBeforeExecutors() throws {
        var policy = node()
        try policy.donor(1, gib(20))
        try policy.lease(2, 1, gib(20), 1)
        #expect(ids(policy.onStepStart(step(1, "0", gib(30)), now: at(2))) == [1])
        policy.close(LeaseID(1))
        #expect(ids(policy.onStepStart(step(2, "1", gib(20)), now: at(3))) == [2])
    }

    @Test func theFewestThatAreEnough() {
        func fewest(_ sizes: [Int64], _ rest: Int64) -> [UInt64] {
            let leases = sizes.enumerated().map { (id: LeaseID(UInt64($0.offset)), memory: gib($0.element)) }
            return NodePolicy.fewest(of: leases, freeing: gib(rest)).map(\.number)
        }
        #expect(fewest([1, 2, 3, 4], 0) == [])
        #expect(fewest([1, 2, 3, 4], 3) == [2])
        #expect(fewest([1, 2, 3, 4], 5) == [3, 0])
        #expect(fewest([4, 4, 4], 8) == [0, 1])
        #expect(fewest([4, 4, 4], 9) == [0, 1, 2])
        #expect(fewest([1, 1], 9) == [0, 1])
        #expect(fewest([], 1) == [])
    }

    @Test func memoryOnItsWayBackIsNotLentAndTakesNobodyElseWithIt() throws {
        var policy = node()
        try policy.donor(1, gib(30))
        try policy.donor(2, gib(30))
        #expect(ids(policy.onStepStart(step(1, "0", gib(30)), now: at(1))) == [2])
        policy.close(LeaseID(2), reclaiming: true)
        #expect(ids(policy.onTick(now: at(2))) == [])
        #expect(policy.memoryPools(at: at(2)) == [])
        _ = policy.onJobEnd(JobID(1), now: at(3))
        #expect(policy.memoryPools(at: at(3)) == [MemoryOffer(pool: .unallocated, memory: gib(4))])
        policy.reclaimed(LeaseID(2))
        #expect(policy.memoryPools(at: at(3)) == [MemoryOffer(pool: .unallocated, memory: gib(34))])
    }

    @Test func theHeadroomOfUnallocatedMemoryIsNeverLent() throws {
        var policy = NodePolicy(
            rules: NodeRules(
                cores: 8, memory: gib(64), switches: LendingSwitches(unallocated: true, lent: true),
                headroomOfUnallocated: nil, coresAreLogical: true))
        _ = policy.onSlurmView(slurmView(at: 0), now: at(0))
        // A twentieth of 64 GiB.
        #expect(policy.rules.unallocatedHeadroom == ByteCount(gib(64).bytes / 20))
        let free = gib(64) - policy.rules.unallocatedHeadroom
        #expect(throws: NoRoom.self) { try policy.donor(1, free + ByteCount(1 as Int64)) }
        #expect(throws: NoRoom.self) { try policy.lease(1, 1, free + ByteCount(1 as Int64)) }
        try policy.donor(1, free)
        // A job that would fit into the headroom has it, and the headroom comes back.
        #expect(ids(policy.onStepStart(step(1, "0", gib(1)), now: at(1))) == [1])
        #expect(NodeRules(cores: 1, memory: gib(4), headroomOfUnallocated: nil).unallocatedHeadroom == gib(1))
    }

    /// Whatever happens: what stands in unallocated memory leaves the headroom, and nobody goes who need not.
    @Test(arguments: 0..<200) func neverShortNeverTooMany(seed: Int) throws {
        var random = SplitMix64(state: UInt64(seed))
        let headroom = gib(Int64(random.below(5)))
        var policy = NodePolicy(
            rules: NodeRules(
                cores: 8, memory: gib(64), switches: LendingSwitches(unallocated: true, lent: true),
                headroomOfUnallocated: headroom, coresAreLogical: true))
        var next: UInt64 = 1
        for second in 0..<60 {
            let now = Double(second)
            _ = policy.onSlurmView(
                slurmView(
                    at: now,
                    policy.jobs.values.map {
                        seenBySlurm($0.jobID.number, $0.cores.description, $0.memory)
                    }), now: at(now))
            switch random.below(4) {
            case 0, 1:
                _ = try? policy.donor(next, gib(Int64(1 + random.below(8))), nil, now)
                next += 1
            case 2:
                let before = policy.leases
                let gone = policy.onStepStart(
                    step(UInt32(second + 1), "\(second % 8)", gib(Int64(1 + random.below(30)))), now: at(now))
                let freed = gone.map { before[$0.leaseID]?.placement.memory ?? .zero }
                for end in gone { policy.close(end.leaseID, reclaiming: true) }
                let standing = policy.leases.values.reduce(ByteCount.zero) { $0 + $1.placement.memory }
                let room = max(.zero, gib(64) - policy.allocatedMemory - headroom)
                #expect(standing <= room)
                // Without the smallest of them it would not have been enough.
                if let smallest = freed.min() { #expect(standing + smallest > room) }
            default:
                if let job = policy.jobs.keys.min() { _ = policy.onJobEnd(job, now: at(now)) }
            }
            if random.chance(50) { for id in policy.reclaiming.keys { policy.reclaimed(id) } }
        }
    }
}
