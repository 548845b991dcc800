import FallowModel
import FallowPolicy
import FallowWire
import Testing

@Suite struct JobsComeAndGo {
    @Test func aJobTakesItsCoresFromTheUnallocated() throws {
        var policy = node()
        try policy.lease(1, 2)
        try policy.lease(2, 2)
        #expect(policy.leases[LeaseID(1)]?.placement.cores == cores("6-7"))
        #expect(ids(policy.onStepStart(step(1, "0-4"), now: at(1))) == [2])
    }

    @Test func aLeaseThatStandsPartlyOnTakenCoresGoesWhole() throws {
        var policy = node()
        try policy.lease(1, 4)
        #expect(ids(policy.onStepStart(step(1, "0-4"), now: at(1))) == [1])
    }

    @Test func memoryGoesBackNewestFirstAndNoMoreThanNeeded() throws {
        var policy = node()
        try policy.lease(1, 1, gib(20), 0)
        try policy.lease(2, 1, gib(20), 1)
        try policy.lease(3, 1, .zero, 2)
        try policy.lease(4, 1, gib(4), 3)
        #expect(ids(policy.onStepStart(step(1, "0", gib(30)), now: at(4))) == [4, 2])
    }

    @Test func memoryOfLeasesThatGoForTheirCoresCounts() throws {
        var policy = node()
        try policy.lease(1, 1, gib(20), 0)
        try policy.lease(2, 1, gib(20), 1)
        #expect(ids(policy.onStepStart(step(1, "7", gib(30)), now: at(4))) == [1])
    }

    @Test func whatIsBeneathAJobEndsWithIt() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        try policy.lease(1, 1, gib(1))
        #expect(ids(policy.onJobEnd(JobID(1), now: at(1))) == [1])
        #expect(policy.jobs.isEmpty && policy.allocatedCores.isEmpty && policy.allocatedMemory == .zero)
    }

    @Test func anEndedLeaseLeavesItsPlaceFree() throws {
        var policy = node()
        for turn in 0..<50 {
            try policy.lease(UInt64(turn), 8, gib(64))
            #expect(policy.offer(at: at(0)) == Offer())
            policy.close(LeaseID(UInt64(turn)))
            policy.close(LeaseID(UInt64(turn)))
            #expect(policy.offer(at: at(0)) == Offer(cores: 8, memory: gib(64)))
        }
    }

    @Test func aTermEndsAndARenewalMovesIt() throws {
        var policy = node()
        try policy.lease(1, 1, .zero, 0, term: 5)
        try policy.lease(2, 1, .zero, 0, term: 5)
        policy.renew(LeaseID(2), termEnds: at(9))
        #expect(policy.onTick(now: at(5)) == [Revocation(LeaseID(1), .expired)])
        policy.close(LeaseID(1))
        #expect(policy.onTick(now: at(9)) == [Revocation(LeaseID(2), .expired)])
        #expect(throws: NoRoom.self) { try policy.lease(3, 1, .zero, 5, term: 0) }
    }

    @Test func whatDidNotDieKeepsItsPlaceUntilItDoes() throws {
        var policy = node()
        try policy.lease(1, 2, gib(10))
        policy.close(LeaseID(1), stuck: true)
        #expect(policy.offer(at: at(0)) == Offer(cores: 6, memory: gib(54)))
        policy.releaseWithheld()
        #expect(policy.offer(at: at(0)) == Offer(cores: 8, memory: gib(64)))
    }

    @Test func memoryThatDidNotComeBackFromAJobIsMissingAfterItsEnd() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-7", gib(64), promise(2, gib(4))), now: at(0))
        try policy.lease(1, 1, gib(3))
        policy.close(LeaseID(1), stuck: true)
        #expect(policy.lending(of: JobID(1), at: at(0)) == Offer(cores: 1, memory: gib(1)))
        _ = policy.onJobEnd(JobID(1), now: at(1))
        #expect(policy.offer(at: at(1)) == Offer(cores: 7, memory: gib(61)))
    }

    @Test func aStepStartThatIsRepeatedChangesNothing() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        try policy.lease(1, 4)
        try policy.lease(2, 2)
        for second in 1...5 {
            #expect(policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(Double(second))).isEmpty)
        }
    }

    @Test func senselessDemandsAreRefusedInASentence() {
        var policy = node()
        #expect(throws: NoRoom.self) { try policy.lease(1, -1) }
        #expect(throws: NoRoom.self) { try policy.lease(1, 1, gib(-1)) }
        #expect(throws: NoRoom("9 cores were asked for; 8 are free to lend in one place")) { try policy.lease(1, 9) }
        #expect(throws: NoRoom("65 GiB of memory was asked for; 64 GiB is free to lend in one place")) {
            try policy.lease(1, 1, gib(65))
        }
        #expect(policy.leases.isEmpty)
    }

    @Test func aLeaseStandsOnce() throws {
        var policy = node()
        try policy.lease(1, 1)
        #expect(throws: NoRoom("lease 0000000000000001 stands here already")) { try policy.lease(1, 1) }
    }

    @Test func anOfferIsWhatOneLeaseCanHave() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-4", gib(32), promise(2, gib(20))), now: at(0))
        let offer = policy.offer(at: at(0))
        #expect(offer == Offer(cores: 3, memory: gib(32)))
        try policy.lease(1, offer.cores, offer.memory)
        #expect(policy.offer(at: at(0)) == Offer(cores: 2, memory: gib(20)))
    }
}

@Suite struct SlurmsViewAndThePlugins {
    @Test func aJobThatOnlySlurmShowsIsHeldAndNotLentFrom() throws {
        var policy = node()
        try policy.lease(1, 4)
        #expect(ids(policy.onSlurmView(slurmView(at: 1, [seenBySlurm(1, "4-7")]), now: at(1))) == [1])
        _ = policy.watch(1, 2, 20)
        #expect(policy.lending(of: JobID(1), at: at(20)) == Offer())
        #expect(policy.offer(at: at(20)).cores == 4)
    }

    @Test func whatSlurmCannotTellIsEverything() {
        var policy = node()
        _ = policy.onSlurmView(slurmView(at: 1, [seenBySlurm(1, "", .zero)]), now: at(1))
        #expect(policy.offer(at: at(1)) == Offer())
    }

    @Test func aViewThatIsOlderThanThePluginsReportTakesNoJobAway() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-7"), now: at(10))
        _ = policy.onSlurmView(slurmView(at: 9), now: at(11))
        #expect(policy.jobs[JobID(1)] != nil)
        _ = policy.onSlurmView(slurmView(at: 14.9), now: at(15))
        #expect(policy.jobs[JobID(1)] != nil)
    }

    @Test func aJobWhoseEndWasLostGoesWithAViewThatIsSurelyYounger() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-7"), now: at(10))
        _ = policy.onSlurmView(slurmView(at: 16), now: at(16))
        #expect(policy.jobs.isEmpty)
        #expect(policy.offer(at: at(16)).cores == 8)
    }

    @Test func aViewFromTheFutureTakesNoJobAway() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-7"), now: at(10))
        _ = policy.onSlurmView(slurmView(at: 3600), now: at(11))
        #expect(policy.jobs[JobID(1)] != nil)
    }

    @Test func anOlderViewIsIgnored() {
        var policy = node()
        _ = policy.onSlurmView(slurmView(at: 5, [seenBySlurm(1, "0-7")]), now: at(5))
        _ = policy.onSlurmView(slurmView(at: 4), now: at(6))
        #expect(policy.jobs[JobID(1)] != nil)
    }

    @Test func aJobThatEndedIsNotBroughtBackByALateOrCompletingView() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-7"), now: at(1))
        _ = policy.onJobEnd(JobID(1), now: at(10))
        for (second, state) in [(9.0, "RUNNING"), (12, "RUNNING"), (16, "COMPLETING"), (30, "COMPLETING")] {
            _ = policy.onSlurmView(
                slurmView(at: second, [seenBySlurm(1, "0-7", state: state)]), now: at(max(10, second)))
            #expect(policy.jobs.isEmpty, "\(state) at \(second)")
        }
        // Requeued: it runs again.
        _ = policy.onSlurmView(slurmView(at: 40, [seenBySlurm(1, "0-7")]), now: at(40))
        #expect(policy.jobs[JobID(1)]?.reportedAt == nil)
        #expect(policy.jobs[JobID(1)] != nil)
    }

    @Test func aCompletingJobWhoseEndNobodyToldStillHolds() {
        var policy = node()
        _ = policy.onSlurmView(slurmView(at: 1, [seenBySlurm(1, "0-7", state: "COMPLETING")]), now: at(1))
        #expect(policy.offer(at: at(1)).cores == 0)
    }

    @Test func aStepStartsAfterTheJobsEndWasTold() {
        var policy = node()
        _ = policy.onJobEnd(JobID(1), now: at(1))
        _ = policy.onStepStart(step(1, "0-7"), now: at(2))
        #expect(policy.offer(at: at(2)).cores == 0)
    }

    @Test func aReusedIDDoesNotInheritPromises() {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-7", gib(8), promise(4, gib(4))), now: at(0))
        _ = policy.onStepStart(step(1, "0-7", gib(8), user: 1001), now: at(1))
        #expect(policy.offer(at: at(1)) == Offer())
        #expect(policy.jobs[JobID(1)]?.serverless == nil)
    }

    @Test func aRequeuedJobWhoseEndWasLostIsHeldWhereSlurmShowsIt() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        try policy.lease(1, 4, .zero, 0)
        try policy.lease(2, 2, .zero, 0)
        let view = slurmView(at: 20, [seenBySlurm(1, "4-7", started: 19)])
        #expect(ids(policy.onSlurmView(view, now: at(20))) == [1, 2])
        #expect(policy.jobs[JobID(1)]?.cores == cores("4-7"))
        #expect(policy.lendsCores(of: 1, 20) == 0)
    }

    @Test func theViewOfARunningJobDoesNotUndoWhatThePluginSaid() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2)), now: at(2))
        _ = policy.onSlurmView(slurmView(at: 9, [seenBySlurm(1, "0-7", gib(1), started: 1)]), now: at(9))
        #expect(policy.jobs[JobID(1)]?.cores == cores("0-3"))
        #expect(policy.lendsCores(of: 1, 9) == 2)
    }

    @Test func aNodeThatShrinksTakesItsLeasesAlong() throws {
        var policy = node()
        try policy.lease(1, 2, gib(30))
        try policy.lease(2, 2, gib(30), 1)
        let going = policy.onSlurmView(slurmView(at: 2, cores: 6, memory: gib(20)), now: at(2))
        #expect(ids(going) == [1, 2])
        for id in ids(going) { policy.close(LeaseID(id)) }
        #expect(policy.offer(at: at(2)) == Offer(cores: 6, memory: gib(20)))
    }

    @Test func absurdNodesAreBounded() {
        var policy = node()
        _ = policy.onSlurmView(slurmView(at: 1, cores: .max), now: at(1))
        #expect(policy.offer(at: at(1)).cores == AbstractCoreSet.largestNumber + 1)
        #expect(NodeRules(cores: -5, memory: .zero).allCores.isEmpty)
        #expect(NodeRules(cores: .max, memory: .zero).allCores.count == AbstractCoreSet.largestNumber + 1)
    }
}
