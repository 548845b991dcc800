import FallowExecutor
import Testing

@Suite struct PollBudgetTests {
    private let second: Int64 = 1_000_000_000

    @Test func pollingLongBetweenSeldomCallsIsBoundByTheShare() {
        let budget = PollBudget(longestMicroseconds: 200, percent: 25, workers: 1)
        // A call each 400 us: it would poll half of the time.
        let polled = poll(budget, each: 400_000, workers: 1)
        #expect(polled < 10 * second * 28 / 100)
        #expect(polled > 10 * second * 22 / 100)
    }

    @Test func callsThatFollowEachOtherCostNothing() {
        let budget = PollBudget(longestMicroseconds: 200, percent: 1, workers: 1)
        var now: Int64 = 0
        while now < second {
            _ = budget.allowance(now: now)
            budget.spend(3_000)
            now += 4_000
        }
        #expect(budget.allowance(now: now) == 200_000)
    }

    @Test func zeroNeverPollsAndNoShareOnlyBriefly() {
        let never = PollBudget(longestMicroseconds: 0, percent: 50, workers: 1)
        #expect(never.allowance(now: 5) == 0)
        let brief = PollBudget(longestMicroseconds: 200, percent: 0, workers: 4)
        for now in stride(from: Int64(0), to: second, by: 10_000_000) {
            #expect(brief.allowance(now: now) == PollBudget.freeNanoseconds)
        }
    }

    @Test func whatWasNotSpentIsKeptForAMoment() {
        let budget = PollBudget(longestMicroseconds: 1_000_000, percent: 50, workers: 1)
        #expect(budget.allowance(now: 0) == 50_000_000 + PollBudget.freeNanoseconds)
        budget.spend(1_000_000_000)
        #expect(budget.allowance(now: 1000) == PollBudget.freeNanoseconds)
        // The debt is paid back before there is credit again, and an hour's rest is not an hour's credit.
        #expect(budget.allowance(now: 3600 * second) <= 50_000_000 + PollBudget.freeNanoseconds)
    }

    @Test func oneWorkerMaySpendWhatTheOthersLeave() {
        // Of four workers one is called, each 400 us: it polls half of its time, which is an eighth of theirs.
        let budget = PollBudget(longestMicroseconds: 200, percent: 25, workers: 4)
        #expect(poll(budget, each: 400_000, workers: 1) == 10 * second / 2)
    }

    @Test func allWorkersTogetherAreBoundByTheShare() {
        let budget = PollBudget(longestMicroseconds: 200, percent: 25, workers: 4)
        let polled = poll(budget, each: 400_000, workers: 4)
        #expect(polled < 4 * 10 * second * 28 / 100)
        #expect(polled > 4 * 10 * second * 22 / 100)
    }

    @Test func callsCloserTogetherThanAStepGetTheirShareToo() {
        let budget = PollBudget(longestMicroseconds: 1_000_000, percent: 50, workers: 1)
        budget.spend(60_000_000)
        for now in stride(from: Int64(0), through: 40_000_000, by: 300) { _ = budget.allowance(now: now) }
        let credit = budget.allowance(now: 40_000_000) - PollBudget.freeNanoseconds
        #expect((9_900_000...10_100_000).contains(credit))
    }

    /// From nothing, and with as much as may be kept.
    @Test(arguments: [0, 100_000_000] as [Int64]) func workersOnManyThreadsLoseNoCredit(from credit: Int64) async {
        let budget = PollBudget(longestMicroseconds: 1_000_000, percent: 100, workers: 1)
        budget.spend(100_000_000 - credit + PollBudget.freeNanoseconds)
        await withTaskGroup { group in
            for first in 0..<4 {
                group.addTask {
                    for now in stride(from: Int64(first), through: 50_000_000, by: 997) {
                        _ = budget.allowance(now: now)
                    }
                }
            }
        }
        let kept = budget.allowance(now: 50_000_000) - PollBudget.freeNanoseconds
        #expect((min(100_000_000, credit + 49_000_000)...min(100_000_000, credit + 50_100_000)).contains(kept))
    }

    /// Ten seconds in which each worker polls as long as it may after a call each so many nanoseconds.
    /// - Returns: how long they polled in all.
    private func poll(_ budget: PollBudget, each nanoseconds: Int64, workers: Int) -> Int64 {
        var polled: Int64 = 0
        for now in stride(from: Int64(0), to: 10 * second, by: Int64.Stride(nanoseconds)) {
            for _ in 0..<workers {
                let span = budget.allowance(now: now)
                #expect(span <= 200_000)
                polled += span
                budget.spend(span)
            }
        }
        return polled
    }
}
