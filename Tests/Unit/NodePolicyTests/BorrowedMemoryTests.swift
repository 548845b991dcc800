import FallowModel
import FallowPolicy
import FallowWire
import Testing

private func gibibytes(_ count: Int64, durable: Bool = false) -> BorrowedMemory.Wish {
    BorrowedMemory.Wish(memory: .gibibytes(count), isDurable: durable)
}
private let job = JobID(7)
private let user = UserID(1000)

/// What an asking comes to when it is granted: leases numbered from `first`.
private func granted(_ asking: BorrowedMemory.Asking, from first: UInt64, term: Double = 300, at now: Double = 0)
    -> Result<[BorrowedMemory.Lease], WireError>
{
    .success(
        (0..<asking.donors).map {
            BorrowedMemory.Lease(leaseID: LeaseID(first + UInt64($0)), memory: asking.each, termEnds: at(now + term))
        })
}
private func asking(_ directives: [BorrowedMemory.Directive]) -> BorrowedMemory.Asking? {
    for case .ask(let asking) in directives { return asking }
    return nil
}
private func ids(_ numbers: UInt64...) -> [LeaseID] { numbers.map { LeaseID($0) } }

/// A job of 5 GiB in donors of 2 that waits for a program.
private func waiting(durable: Bool = false) throws -> BorrowedMemory {
    var memory = BorrowedMemory(donorSize: .gibibytes(2))
    let asked = try #require(asking(memory.onStep(job, user: user, gibibytes(5, durable: durable))))
    #expect(memory.onAsked(asked, granted(asked, from: 1), now: at(0)).isEmpty)
    return memory
}

@Suite struct BorrowedMemoryTests {
    @Test func aJobIsAskedForOnceInEqualDonors() throws {
        var memory = BorrowedMemory(donorSize: .gibibytes(2))
        #expect(memory.sentence(for: job) == nil)
        let asked = try #require(asking(memory.onStep(job, user: user, gibibytes(5))))
        #expect(asked.donors == 3 && asked.each.bytes * 3 >= ByteCount.gibibytes(5).bytes && asked.user == user)
        #expect(memory.sentence(for: job) == "asked=5G,cache")
        // Every step of the job says it again.
        #expect(memory.onStep(job, user: user, gibibytes(5)).isEmpty)
        _ = memory.onAsked(asked, granted(asked, from: 1), now: at(0))
        #expect(memory.onStep(job, user: user, gibibytes(5)).isEmpty)
        #expect(memory.sentence(for: job)?.hasPrefix("waiting=") == true)
    }

    @Test func whatWaitsIsTakenOnceAndTheRestGoesBackWithTheJob() throws {
        var memory = try waiting(durable: true)
        var (adoption, directives) = memory.onAdoption(by: job, wanted: .gibibytes(3), wait: .zero, mayAsk: true)
        #expect(adoption == .take(ids(1, 2), isDurable: true) && directives.isEmpty)
        (adoption, _) = memory.onAdoption(by: job, wanted: nil, wait: .zero, mayAsk: true)
        #expect(adoption == .take(ids(3), isDurable: true))
        (adoption, _) = memory.onAdoption(by: job, wanted: nil, wait: .zero, mayAsk: true)
        guard case .refuse(let why) = adoption else {
            Issue.record("\(adoption)")
            return
        }
        #expect(why.contains("in use"))
        // A program that wants some and finds none may go on by itself.
        (adoption, _) = memory.onAdoption(by: job, wanted: .gibibytes(1), wait: .zero, mayAsk: true)
        #expect(adoption == .take([], isDurable: true))
        memory.onLeaseEnd(LeaseID(3), .clientGone)
        #expect(memory.onJobEnd(job).isEmpty, "what programs took ends with them")
        #expect(memory.sentence(for: job) == nil)

        memory = try waiting()
        _ = memory.onAdoption(by: job, wanted: .gibibytes(1), wait: .zero, mayAsk: true)
        #expect(memory.onJobEnd(job) == [.giveBack(ids(2, 3))])
    }

    @Test func aSecondProgramOfTheJobHasItAnew() throws {
        var memory = try waiting()
        _ = memory.onAdoption(by: job, wanted: nil, wait: .zero, mayAsk: true)
        for id in ids(1, 2, 3) { memory.onLeaseEnd(id, .released) }
        let (adoption, directives) = memory.onAdoption(by: job, wanted: nil, wait: .seconds(9), mayAsk: true)
        let again = try #require(asking(directives))
        #expect(adoption == .wait && again.donors == 3 && again.wait == .seconds(9))
        _ = memory.onAsked(again, granted(again, from: 11), now: at(5))
        let (taken, _) = memory.onAdoption(by: job, wanted: nil, wait: .zero, mayAsk: false)
        #expect(taken == .take(ids(11, 12, 13), isDurable: false))
    }

    @Test func whatANodeTookBackIsAskedForAlone() throws {
        var memory = try waiting()
        memory.onLeaseEnd(LeaseID(2), .reclaimed)
        let (adoption, directives) = memory.onAdoption(by: job, wanted: nil, wait: .zero, mayAsk: true)
        let lacking = try #require(asking(directives))
        #expect(adoption == .wait && lacking.donors == 1)
        // It is not to be had: all or nothing, and what waits goes on waiting.
        _ = memory.onAsked(lacking, .failure(WireError(.noCapacity, "no node has it")), now: at(1))
        let (refused, none) = memory.onAdoption(by: job, wanted: nil, wait: .zero, mayAsk: false)
        #expect(refused == .refuse("no node has it") && none.isEmpty)
        let (some, _) = memory.onAdoption(by: job, wanted: .gibibytes(9), wait: .zero, mayAsk: true)
        #expect(some == .take(ids(1, 3), isDurable: false))
    }

    @Test func nothingToBeHadIsSaidAndAskedForAgainByTheNextStep() throws {
        var memory = BorrowedMemory(donorSize: .gibibytes(2))
        let asked = try #require(asking(memory.onStep(job, user: user, gibibytes(5))))
        _ = memory.onAsked(asked, .failure(WireError(.noCapacity, "no node has it")), now: at(0))
        #expect(memory.sentence(for: job) == "nothing: no node has it")
        #expect(asking(memory.onStep(job, user: user, gibibytes(5))) != nil)
        #expect(memory.sentence(for: job) == "nothing: no node has it")
    }

    @Test func whatComesAfterTheJobsEndGoesBack() throws {
        var memory = BorrowedMemory(donorSize: .gibibytes(2))
        let asked = try #require(asking(memory.onStep(job, user: user, gibibytes(5))))
        #expect(memory.onJobEnd(job).isEmpty)
        #expect(memory.onAsked(asked, granted(asked, from: 1), now: at(0)) == [.giveBack(ids(1, 2, 3))])
        // Nor is it believed to be that of a job that has the id now.
        let other = try #require(asking(memory.onStep(job, user: UserID(2000), gibibytes(1))))
        #expect(memory.onAsked(asked, granted(asked, from: 1), now: at(0)) == [.giveBack(ids(1, 2, 3))])
        #expect(memory.onAsked(other, granted(other, from: 9), now: at(0)).isEmpty)
    }

    @Test func aJobWhoseEndNobodyToldOrWhoseIdIsAnothersIsOver() throws {
        var memory = try waiting()
        #expect(memory.onTick(running: [job: user], now: at(1)).isEmpty)
        #expect(memory.onTick(running: [job: UserID(5)], now: at(1)) == [.giveBack(ids(1, 2, 3))])
        memory = try waiting()
        let directives = memory.onStep(job, user: UserID(5), gibibytes(1))
        #expect(directives.first == .giveBack(ids(1, 2, 3)) && asking(directives)?.user == UserID(5))
    }

    @Test func termsAreRenewedWhileTheJobRunsWhoeverHasTheLease() throws {
        var memory = try waiting()
        _ = memory.onAdoption(by: job, wanted: .gibibytes(1), wait: .zero, mayAsk: true)
        #expect(memory.onTick(running: [job: user], now: at(149)).isEmpty)
        #expect(memory.onTick(running: [job: user], now: at(150)) == [.renew(ids(1, 2, 3))])
        memory.onRenewed(LeaseID(1), termEnds: at(450), now: at(150))
        // The others' renewal came to nothing: again a little later.
        #expect(memory.onTick(running: [job: user], now: at(151)).isEmpty)
        #expect(memory.onTick(running: [job: user], now: at(156)) == [.renew(ids(2, 3))])
        #expect(memory.onTick(running: [job: user], now: at(300)) == [.renew(ids(1, 2, 3))])
    }

    @Test func theLargestWordOfAJobsStepsCounts() throws {
        var memory = try waiting()
        let more = try #require(asking(memory.onStep(job, user: user, gibibytes(7, durable: true))))
        #expect(more.donors == 2 && memory.wishes[job]?.wish == gibibytes(7, durable: true))
        #expect(memory.onStep(job, user: user, gibibytes(1)).isEmpty)
        #expect(memory.wishes[job]?.wish == gibibytes(7, durable: true))
    }
}
