import FallowModel
import FallowPolicy
import Testing

@Suite struct TheMapOfCores {
    /// Four cores, siblings far apart, logical order as the kernel's.
    static let plain = ["0,4", "1,5", "2,6", "3,7"].map { cpus($0) }
    /// Two packages whose cores the kernel numbers in turn.
    static let interleaved = ["0", "2", "1", "3"].map { cpus($0) }

    @Test func isUnprovenAtFirst() {
        let map = CoreMap(cpusOfCores: Self.plain)
        #expect(map.state == .unproven)
        #expect(map.cpus(of: cores("0")) == nil)
    }

    @Test func isProvenByAJobOnItsCPUs() {
        var map = CoreMap(cpusOfCores: Self.plain)
        map.observe(cores: cores("1-2"), cpus: cpus("1-2,5-6"))
        #expect(map.state == .proven)
        #expect(map.cpus(of: cores("0,3")) == cpus("0,3-4,7"))
        #expect(map.cpus(of: cores("4")) == nil)
    }

    @Test func isProvenByOneSiblingOfEachCore() {
        var map = CoreMap(cpusOfCores: Self.plain)
        map.observe(cores: cores("1-2"), cpus: cpus("1-2"))
        #expect(map.state == .proven)
    }

    @Test func hearsNothingFromAJobWithFewerCoresThanItHolds() {
        var map = CoreMap(cpusOfCores: Self.plain)
        map.observe(cores: cores("1-2"), cpus: cpus("1,5"))
        #expect(map.state == .unproven)
    }

    @Test func isRefutedByAForeignCPUAndNeverUsedAgain() {
        var map = CoreMap(cpusOfCores: Self.plain)
        map.observe(cores: cores("1"), cpus: cpus("1,5"))
        map.observe(cores: cores("2"), cpus: cpus("2,3"))
        #expect(map.state == .refuted)
        map.observe(cores: cores("1"), cpus: cpus("1,5"))
        #expect(map.state == .refuted)
        #expect(map.cpus(of: cores("1")) == nil)
    }

    @Test func isNeitherByAJobWithAllCoresNorByAnUnconstrainedOne() {
        var map = CoreMap(cpusOfCores: Self.plain)
        map.observe(cores: cores("0-3"), cpus: cpus("0-7"))
        map.observe(cores: cores("0-3"), cpus: cpus("0-3"))
        map.observe(cores: cores("1"), cpus: cpus("0-7"))
        map.observe(cores: cores("1"), cpus: cpus("0-63"))
        map.observe(cores: cores("1"), cpus: cpus(""))
        map.observe(cores: cores(""), cpus: cpus("1"))
        #expect(map.state == .unproven)
    }

    @Test func isNotProvenWhereBothPlausibleNumberingsAgree() {
        var map = CoreMap(cpusOfCores: Self.interleaved)
        map.observe(cores: cores("0"), cpus: cpus("0"))
        map.observe(cores: cores("1-2"), cpus: cpus("1-2"))
        #expect(map.state == .unproven)
        map.observe(cores: cores("1"), cpus: cpus("2"))
        #expect(map.state == .proven)
    }

    @Test func isRefutedByTheOtherNumberingAndByCoresThatTheMachineLacks() {
        var map = CoreMap(cpusOfCores: Self.interleaved)
        map.observe(cores: cores("1"), cpus: cpus("1"))
        #expect(map.state == .refuted)
        var small = CoreMap(cpusOfCores: Self.plain)
        small.observe(cores: cores("9"), cpus: cpus("1"))
        #expect(small.state == .refuted)
    }
}

@Suite struct WhileTheMapIsUnproven {
    @Test func everythingGoesAtAStepStart() throws {
        var policy = node(logical: false)
        try policy.lease(1, 1)
        try policy.lease(2, 1)
        #expect(Set(ids(policy.onStepStart(step(1, "0"), now: at(1)))) == [1, 2])
    }

    @Test func nothingIsLentBesideOrBeneathAJob() throws {
        var policy = node(logical: false)
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2)), now: at(0))
        #expect(policy.offer(at: at(0)).cores == 0)
        #expect(throws: NoRoom.self) { try policy.lease(1, 1) }
        _ = policy.onJobEnd(JobID(1), now: at(1))
        #expect(policy.offer(at: at(1)).cores == 8)
    }

    @Test func aLeaseOfThatTimeGoesAtTheNextStepEvenIfTheMapWasProvenMeanwhile() throws {
        var policy = node(logical: false)
        try policy.lease(1, 1)
        policy.coresAreMapped = true
        try policy.lease(2, 1)
        #expect(ids(policy.onStepStart(step(1, "0"), now: at(1))) == [1])
    }

    @Test func aRefutationTakesBackWhatStandsBesideJobs() throws {
        var policy = node(logical: false)
        policy.coresAreMapped = true
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2)), now: at(0))
        try policy.lease(1, 1)
        policy.coresAreMapped = false
        #expect(ids(policy.onTick(now: at(1))) == [1])
    }
}
