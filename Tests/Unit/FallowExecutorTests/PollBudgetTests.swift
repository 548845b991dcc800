import FallowExecutor
import Testing

@Suite struct PollBudgetTests {
    private let second: Int64 = 1_000_000_000

    @Test func pollingLongBetweenSeldomCallsIsBoundByTheShare() {
        var budget = PollBudget(longestMicroseconds: 200, percent: 25)
        var now: Int64 = 0
        var polled: Int64 = 0
        // A call each 400 us: it would poll half of the time.
        while now < 10 * second {
            let span = budget.allowance(now: now)
            #expect(span <= 200_000)
            polled += span
            budget.spend(span)
            now += 400_000
        }
        #expect(polled < 10 * second * 28 / 100)
        #expect(polled > 10 * second * 22 / 100)
    }

    @Test func callsThatFollowEachOtherCostNothing() {
        var budget = PollBudget(longestMicroseconds: 200, percent: 1)
        var now: Int64 = 0
        while now < second {
            _ = budget.allowance(now: now)
            budget.spend(3_000)
            now += 4_000
        }
        #expect(budget.allowance(now: now) == 200_000)
    }

    @Test func zeroNeverPollsAndNoShareOnlyBriefly() {
        var never = PollBudget(longestMicroseconds: 0, percent: 50)
        #expect(never.allowance(now: 5) == 0)
        var brief = PollBudget(longestMicroseconds: 200, percent: 0)
        for now in stride(from: Int64(0), to: second, by: 10_000_000) {
            #expect(brief.allowance(now: now) == PollBudget.freeNanoseconds)
        }
    }

    @Test func whatWasNotSpentIsKeptForAMoment() {
        var budget = PollBudget(longestMicroseconds: 1_000_000, percent: 50)
        #expect(budget.allowance(now: 0) == 50_000_000 + PollBudget.freeNanoseconds)
        budget.spend(1_000_000_000)
        #expect(budget.allowance(now: 1000) == PollBudget.freeNanoseconds)
        // The debt is paid back before there is credit again, and an hour's rest is not an hour's credit.
        #expect(budget.allowance(now: 3600 * second) <= 50_000_000 + PollBudget.freeNanoseconds)
    }
}
