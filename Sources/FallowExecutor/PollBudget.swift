internal import Synchronization

/// How long a lease's workers may poll for their next calls before they sleep: one budget, which they share. Polling beyond some
/// microseconds is paid for from a share of their time, so that calls that come seldom do not keep cores busy; what idle workers
/// do not spend is there for those that have work.
package final class PollBudget: Sendable {
    /// Polling of this length after a call costs nothing: calls that follow each other are answered hot, whatever the share.
    package static let freeNanoseconds: Int64 = 5_000
    /// What was not spent is kept for this much time.
    package static let windowNanoseconds: Int64 = 100_000_000
    /// How often a polling worker looks whether somebody else wants its CPU.
    package static let lookNanoseconds: Int64 = 20_000
    /// Credit is given in steps of at least this: a shorter one would be rounded away.
    private static let stepNanoseconds: Int64 = 1_000
    private static let never = Int64.min

    private let longestNanoseconds: Int64
    /// Of a worker's time; of all workers together, it may exceed a hundred.
    private let percent: Int64
    private let creditNanoseconds: Atomic<Int64>
    /// Up to when credit was given.
    private let givenNanoseconds = Atomic<Int64>(PollBudget.never)

    /// - Parameters:
    ///   - longestMicroseconds: of one polling, at most a second; 0 never polls.
    ///   - percent: of the workers' time, 0 to 100.
    ///   - workers: who share it.
    package init(longestMicroseconds: Int, percent: Int, workers: Int) {
        longestNanoseconds = Int64(min(max(0, longestMicroseconds), 1_000_000)) * 1000
        self.percent = Int64(min(max(0, percent), 100)) * Int64(max(1, workers))
        creditNanoseconds = Atomic(Self.windowNanoseconds / 100 * self.percent)
    }

    /// How long one worker may poll from now on. Workers that ask at the same time may be given the same credit: together they
    /// go into debt then, by at most one polling each, and pay it back.
    package func allowance(now: Int64) -> Int64 {
        give(now)
        let credit = creditNanoseconds.load(ordering: .relaxed)
        return min(longestNanoseconds, max(0, credit) + Self.freeNanoseconds)
    }

    /// Pays for a polling of this length.
    package func spend(_ nanoseconds: Int64) {
        let price = nanoseconds - Self.freeNanoseconds
        if price > 0 { creditNanoseconds.subtract(price, ordering: .relaxed) }
    }

    /// Gives the credit of the time since it was given last. Whoever comes first does it, the others find it done.
    private func give(_ now: Int64) {
        let last = givenNanoseconds.load(ordering: .relaxed)
        guard last == Self.never || now - last >= Self.stepNanoseconds,
            givenNanoseconds.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged,
            last != Self.never
        else { return }
        let most = Self.windowNanoseconds / 100 * percent
        let gain = min(now - last, Self.windowNanoseconds) * percent / 100
        var credit = creditNanoseconds.load(ordering: .relaxed)
        while true {
            let (exchanged, found) = creditNanoseconds.weakCompareExchange(
                expected: credit, desired: min(most, credit + gain), ordering: .relaxed)
            if exchanged { return }
            credit = found
        }
    }
}
