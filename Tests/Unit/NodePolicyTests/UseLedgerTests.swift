import FallowModel
import FallowPolicy
import FallowWire
import Testing

@Suite struct TheLedger {
    @Test func addsUpWhatWasHeldAndLent() throws {
        var policy = node()
        var ledger = UseLedger()
        ledger.advance(to: at(0), as: policy)
        _ = policy.onStepStart(step(1, "0-3", gib(8), promise(2, gib(4))), now: at(0))
        try policy.lease(1, 4, gib(2))
        try policy.lease(2, 1, gib(1))
        ledger.advance(to: at(10), as: policy)
        let node = ledger.integrals
        #expect(node.elapsedSeconds == 10)
        #expect(node.allocatedCoreSeconds == 40)
        #expect(node.lentCoreSeconds == 50)
        #expect(node.lentByteSeconds == 10 * Double(gib(3).bytes))
        let job = try #require(ledger.jobs[JobID(1)])
        #expect(job.heldCoreSeconds == 40)
        #expect(job.lentCoreSeconds == 10)
        #expect(job.lentByteSeconds == 0)
        #expect(job.heldByteSeconds == 10 * Double(gib(8).bytes))
        #expect(job.lending == Offer(cores: 2, memory: gib(4)))
        #expect(job.serverless == "cpus=2,mem=4G")
    }

    @Test func ignoresTimeThatGoesBack() {
        let policy = node()
        var ledger = UseLedger()
        for second in [0.0, 5, 2, 5, 7] { ledger.advance(to: at(second), as: policy) }
        #expect(ledger.integrals.elapsedSeconds == 7)
    }

    @Test func keepsAnEndedJobUntilItIsForgotten() {
        var policy = node()
        var ledger = UseLedger()
        _ = policy.onStepStart(step(1, "0-3"), now: at(0))
        ledger.advance(to: at(0), as: policy)
        ledger.forget([JobID(1)])
        #expect(ledger.jobs.count == 1)
        ledger.advance(to: at(5), as: policy)
        _ = policy.onJobEnd(JobID(1), now: at(5))
        ledger.advance(to: at(5), as: policy)
        ledger.advance(to: at(9), as: policy)
        #expect(ledger.jobs[JobID(1)]?.endedAt == at(5))
        #expect(ledger.jobs[JobID(1)]?.heldCoreSeconds == 20)
        ledger.forget([JobID(1)])
        #expect(ledger.jobs.isEmpty)
    }

    @Test func keepsNoMoreEndedJobsThanItsLimit() {
        var policy = node()
        var ledger = UseLedger()
        let count = UseLedger.endedLimit + 10
        for id in 1...UInt32(count) {
            _ = policy.onStepStart(step(id, "0"), now: at(0))
            ledger.advance(to: at(0), as: policy)
            _ = policy.onJobEnd(JobID(id), now: at(0))
        }
        ledger.advance(to: at(1), as: policy)
        #expect(ledger.jobs.count == UseLedger.endedLimit)
        #expect(ledger.jobs[JobID(1)] == nil)
        #expect(ledger.jobs[JobID(UInt32(count))] != nil)
    }

    @Test func countsUseAndPeaks() {
        var policy = node()
        var ledger = UseLedger()
        _ = policy.onStepStart(step(1, "0-3"), now: at(0))
        ledger.advance(to: at(0), as: policy)
        #expect(ledger.jobs[JobID(1)]?.measured == false)
        ledger.used(by: JobID(1), cpuSeconds: 2, memory: gib(3), over: 1)
        ledger.used(by: JobID(1), cpuSeconds: 1, memory: gib(2), over: 1)
        ledger.used(by: JobID(1), cpuSeconds: -9, memory: gib(1), over: -9)
        ledger.recovered(cpuSeconds: 4)
        ledger.recovered(cpuSeconds: -4)
        #expect(ledger.integrals.usedCoreSeconds == 3)
        #expect(ledger.integrals.recoveredCoreSeconds == 4)
        #expect(ledger.integrals.usedByteSeconds == Double(gib(5).bytes))
        #expect(ledger.jobs[JobID(1)]?.usedCoreSeconds == 3)
        #expect(ledger.jobs[JobID(1)]?.peakMemory == gib(3))
        #expect(ledger.jobs[JobID(1)]?.measured == true)
    }
}
