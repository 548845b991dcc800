import FallowModel
import FallowPolicy
import FallowWire
import Testing

@Suite struct WhenNothingIsLent {
    @Test func beforeSlurmWasHeard() {
        var policy = node(heard: false)
        #expect(policy.offer(at: at(0)) == Offer())
        #expect(throws: NoRoom("Slurm's view of this node has not been heard yet")) { try policy.lease(1, 1) }
    }

    @Test func whileBothSwitchesAreOff() {
        var policy = node(unallocated: false, lent: false)
        #expect(policy.offer(at: at(0)) == Offer())
        #expect(throws: NoRoom.self) { try policy.lease(1, 1) }
    }

    @Test func byDefault() {
        #expect(NodeRules(cores: 8, memory: gib(64)).switches == LendingSwitches(unallocated: false, lent: false))
    }

    @Test func whileTheViewIsOld() throws {
        var policy = node()
        try policy.lease(1, 1)
        #expect(policy.onTick(now: at(30)).isEmpty)
        #expect(policy.onTick(now: at(30.001)) == [Revocation(LeaseID(1), .withdrawn)])
        #expect(policy.offer(at: at(31)) == Offer())
        #expect(policy.standstill(at: at(31)) == "Slurm's view of this node is 31 s old")
    }

    @Test func whileTheSameOldViewIsToldAgainAndAgain() {
        var policy = node()
        for second in 1...40 { _ = policy.onSlurmView(slurmView(at: 0), now: at(Double(second))) }
        #expect(policy.standstill(at: at(40)) != nil)
    }

    @Test func whenAViewFromAClockAheadGrowsOld() {
        var policy = node(heard: false)
        _ = policy.onSlurmView(slurmView(at: 4), now: at(0))
        #expect(policy.standstill(at: at(0)) == nil)
        #expect(policy.standstill(at: at(31)) != nil)
    }

    @Test func whileTheClocksDisagree() {
        var policy = node(heard: false)
        _ = policy.onSlurmView(slurmView(at: 3600), now: at(0))
        #expect(policy.standstill(at: at(0)) == "the clock of Slurm's view is 3600 s ahead of this node's")
        // A right view is believed at once, although it seems older.
        _ = policy.onSlurmView(slurmView(at: 1), now: at(1))
        #expect(policy.standstill(at: at(1)) == nil)
    }

    @Test func whileSlurmSaysDrain() throws {
        var policy = node()
        try policy.lease(1, 1)
        #expect(policy.onSlurmView(slurmView(at: 1, mayLend: false), now: at(1)).map(\.reason) == [.withdrawn])
        #expect(policy.standstill(at: at(1)) == "Slurm says MIXED+DRAIN")
    }

    @Test func ofAKindThatIsSwitchedOff() throws {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(1))), now: at(0))
        try policy.lease(1, 4)
        try policy.lease(2, 2)
        #expect(ids(policy.onSwitches(LendingSwitches(unallocated: true, lent: false), now: at(1))) == [2])
        policy.close(LeaseID(2))
        let last = policy.onSwitches(LendingSwitches(unallocated: false, lent: true), now: at(1))
        #expect(last == [Revocation(LeaseID(1), .withdrawn)])
    }
}

@Suite struct WhatAJobLends {
    @Test func nothingUnlessItSaidSo() {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-7"), now: at(0))
        _ = policy.watch(1, 1, 20)
        #expect(policy.lending(of: JobID(1), at: at(20)) == Offer())
        #expect(policy.offer(at: at(20)) == Offer())
    }

    @Test func neverAfterItSaidNoWhateverALaterStepSays() {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-7", gib(8), .no), now: at(0))
        _ = policy.onStepStart(step(1, "0-7", gib(8), .auto, step: StepID(1)), now: at(0))
        _ = policy.onStepStart(step(1, "0-7", gib(8), promise(4, gib(4)), step: StepID(2)), now: at(0))
        _ = policy.watch(1, 1, 20)
        #expect(policy.offer(at: at(20)) == Offer())
    }

    @Test func takesBackWhatItLendsWhenALaterStepSaysNo() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-7", gib(8), promise(4, gib(4))), now: at(0))
        try policy.lease(1, 2)
        #expect(ids(policy.onStepStart(step(1, "0-7", gib(8), .no, step: StepID(1)), now: at(1))) == [1])
    }

    @Test func anEnduringPromiseIsKeptByStepsThatSayNothing() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-7", gib(8), promise(4, gib(4))), now: at(0))
        try policy.lease(1, 4)
        #expect(policy.onStepStart(step(1, "0-7", step: StepID(1)), now: at(1)).isEmpty)
    }

    @Test func autoLendsAfterAWholeWindowAndNotBefore() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), .auto), now: at(0))
        _ = policy.watch(1, 1, 10, busy: 1, memory: gib(2))
        #expect(policy.lending(of: JobID(1), at: at(10.9)) == Offer())
        _ = policy.watch(1, 11, 11, busy: 1, memory: gib(2))
        #expect(policy.lending(of: JobID(1), at: at(11)) == Offer(cores: 3, memory: gib(5)))
    }

    @Test func autoKeepsOneCoreOfAnIdleJob() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), .auto), now: at(0))
        _ = policy.watch(1, 1, 12)
        #expect(policy.lendsCores(of: 1, 12) == 3)
    }

    @Test func aFractionOfACoreCountsAsAWholeOneButNotAnErrorOfMeasurement() {
        for (busy, lent) in [(1.03, 3), (1.2, 2), (2.9, 1), (4.0, 0), (1e12, 0)] {
            var policy = node()
            _ = policy.onStepStart(step(1, "0-3", gib(8), .auto), now: at(0))
            _ = policy.watch(1, 1, 12, busy: busy)
            #expect(policy.lendsCores(of: 1, 12) == lent, "\(busy) busy cores")
        }
    }

    @Test func headroomIsTenPercentWhenThatIsMoreThanOneGiB() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(60), .auto), now: at(0))
        _ = policy.watch(1, 1, 12, memory: gib(40))
        let headroom = ByteCount(gib(40).bytes / 100 * 10)
        #expect(policy.lendsMemory(of: 1, 12) == gib(20) - headroom)
    }

    @Test func aNewStepBeginsTheWatchingAnewAndTakesBackWhatWasMeasured() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), .auto), now: at(0))
        _ = policy.watch(1, 1, 12)
        try policy.lease(1, 3, gib(1), 12)
        #expect(ids(policy.onStepStart(step(1, "0-3", gib(8), .auto, step: StepID(1)), now: at(12))) == [1])
        #expect(policy.lending(of: JobID(1), at: at(12)) == Offer())
    }

    @Test func theExternStepMakesKnownAndTakesNothing() throws {
        var policy = node(unallocated: false)
        #expect(policy.onStepStart(step(1, "0-3", gib(8), .auto, step: .extern), now: at(0)).isEmpty)
        _ = policy.watch(1, 1, 12)
        try policy.lease(1, 3, gib(1), 12)
        #expect(policy.onStepStart(step(1, "0-3", gib(8), .auto, step: .extern), now: at(12)).isEmpty)
    }

    @Test func autoTakesBackAsTheJobBecomesBusy() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), .auto), now: at(0))
        _ = policy.watch(1, 1, 12)
        for lease in 1...3 { try policy.lease(UInt64(lease), 1, .zero, 12) }
        // Leases went to cores 3, 2, 1; two busy cores leave 3 and 2.
        let going = policy.onSample(JobID(1), cpuSeconds: 102, memory: .zero, now: at(13))
        #expect(ids(going) == [3])
    }

    @Test func aPromiseIsLentAtOnce() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        #expect(policy.lending(of: JobID(1), at: at(0)) == Offer(cores: 2, memory: gib(4)))
    }

    @Test func aPromiseOfMoreThanTheJobHasIsWhatItHas() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(99, gib(99))), now: at(0))
        #expect(policy.lending(of: JobID(1), at: at(0)) == Offer(cores: 4, memory: gib(8)))
    }

    @Test func aPromiseOfNothingIsNothing() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(0, .zero)), now: at(0))
        _ = policy.watch(1, 1, 12)
        #expect(policy.lending(of: JobID(1), at: at(12)) == Offer())
    }

    @Test func senselessPromisesLendNothing() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(-3, gib(-1))), now: at(0))
        #expect(policy.lending(of: JobID(1), at: at(0)) == Offer())
        _ = policy.onStepStart(step(2, "4-7", gib(8), promise(0, nil, .percent(-400))), now: at(0))
        _ = policy.watch(2, 1, 12, memory: gib(2))
        #expect(policy.lendsMemory(of: 2, 12) == gib(6))
    }

    @Test func promisedMemoryThatTheJobUsesIsNotLentNorLeftLent() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        try policy.lease(1, 1, gib(2))
        try policy.lease(2, 1, gib(2), 1)
        #expect(policy.watch(1, 2, 2, memory: gib(5)) == [LeaseID(2)])
        policy.close(LeaseID(2))
        // A new step forgets the window, not what the job's memory is.
        _ = policy.onStepStart(step(1, "0-3", gib(8), step: StepID(1)), now: at(3))
        #expect(policy.lendsMemory(of: 1, 3) == gib(3))
    }

    @Test func aReserveStaysWithTheJob() {
        for (request, lent) in [
            (promise(0, nil, .percent(50)), gib(2)), (promise(0, nil, .amount(gib(1))), gib(5)),
            (promise(0, gib(8), .amount(gib(1))), gib(5)), (promise(0, gib(8), nil), gib(6)),
            (promise(0, gib(1), .percent(50)), gib(1)), (promise(0, nil, .amount(ByteCount(Int64.max))), .zero),
        ] {
            var policy = node()
            _ = policy.onStepStart(step(1, "0-3", gib(8), request), now: at(0))
            _ = policy.watch(1, 1, 12, memory: gib(2))
            let measured = policy.lendsMemory(of: 1, 12).bytes
            #expect(abs(measured - lent.bytes) < 100, "\(request)")
        }
    }

    @Test func nothingOfWhatThePluginCouldNotTell() {
        var policy = node()
        _ = policy.onStepStart(step(1, nil, .zero, promise(2, gib(4))), now: at(0))
        #expect(policy.jobs[JobID(1)]?.cores == cores("0-7"))
        #expect(policy.jobs[JobID(1)]?.memory == gib(64))
        #expect(policy.lending(of: JobID(1), at: at(0)) == Offer())
        #expect(policy.offer(at: at(0)) == Offer())
    }

    @Test func noMemoryWhereJobsMayUseMoreThanThereIs() {
        var policy = node()
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        _ = policy.onStepStart(step(2, "4", .zero), now: at(0))
        #expect(policy.lending(of: JobID(1), at: at(0)) == Offer(cores: 2, memory: .zero))
    }

    @Test func noCoreThatAnotherJobHoldsToo() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        try policy.lease(1, 1)
        #expect(policy.leases[LeaseID(1)]?.placement.cores == cores("3"))
        #expect(ids(policy.onStepStart(step(2, "3-4"), now: at(1))) == [1])
        #expect(policy.lendsCores(of: 1, 1) == 1)
    }

    @Test func noCoreThatTheNodeDoesNotHave() {
        var policy = node()
        _ = policy.onStepStart(step(1, "6-9", gib(8), promise(3)), now: at(0))
        #expect(policy.lendsCores(of: 1, 0) == 1)
    }

    @Test func notTheCoresOfAStepThatHasFewerThanTheJob() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2)), now: at(0))
        try policy.lease(1, 2)
        #expect(policy.leases[LeaseID(1)]?.placement.cores == cores("2-3"))
        #expect(ids(policy.onStepStart(step(1, "0-3", step: StepID(1), of: "3"), now: at(1))) == [1])
        policy.close(LeaseID(1))
        #expect(try policy.lease(2, 2, .zero, 1).cores == cores("1-2"))
        // A step over all of the job's cores is what the promise was made for.
        #expect(
            policy.onStepStart(step(1, "0-3", step: StepID(2), of: "0-3"), now: at(2)).map(\.leaseID) == [LeaseID(2)])
    }

    @Test func nothingWhileSuspendedNorByWhatWasMeasuredMeanwhile() throws {
        var policy = node(unallocated: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), .auto), now: at(0))
        _ = policy.watch(1, 1, 12)
        try policy.lease(1, 3, .zero, 12)
        let suspended = slurmView(at: 12, [seenBySlurm(1, "0-3", state: "SUSPENDED")])
        #expect(ids(policy.onSlurmView(suspended, now: at(12))) == [1])
        policy.close(LeaseID(1))
        _ = policy.watch(1, 13, 30)
        #expect(policy.offer(at: at(30)) == Offer())
        _ = policy.onSlurmView(slurmView(at: 31, [seenBySlurm(1, "0-3")]), now: at(31))
        _ = policy.watch(1, 31, 40)
        #expect(policy.lendsCores(of: 1, 40) == 0)
        _ = policy.watch(1, 41, 42)
        #expect(policy.lendsCores(of: 1, 42) == 3)
    }
}
