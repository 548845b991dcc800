/// How long a worker may poll for its next call before it sleeps. Polling beyond some microseconds is paid for from a
/// share of the time, so that calls that come seldom do not keep a core busy.
package struct PollBudget: Sendable {
    /// Polling of this length after a call costs nothing: calls that follow each other are answered hot, whatever the share.
    package static let freeNanoseconds: Int64 = 5_000
    /// What was not spent is kept for this much time.
    package static let windowNanoseconds: Int64 = 100_000_000
    /// How often a polling worker looks whether somebody else wants its CPU.
    package static let lookNanoseconds: Int64 = 20_000

    private let longestNanoseconds: Int64
    private let percent: Int64
    private var creditNanoseconds: Int64
    private var lastNanoseconds: Int64?

    /// - Parameters:
    ///   - longestMicroseconds: of one polling, at most a second; 0 never polls.
    ///   - percent: of the time, 0 to 100.
    package init(longestMicroseconds: Int, percent: Int) {
        longestNanoseconds = Int64(min(max(0, longestMicroseconds), 1_000_000)) * 1000
        self.percent = Int64(min(max(0, percent), 100))
        creditNanoseconds = Self.windowNanoseconds / 100 * self.percent
    }

    /// How long to poll from now on.
    package mutating func allowance(now: Int64) -> Int64 {
        let gone = min(max(0, now &- (lastNanoseconds ?? now)), Self.windowNanoseconds)
        lastNanoseconds = now
        creditNanoseconds = min(
            creditNanoseconds + gone * percent / 100, Self.windowNanoseconds / 100 * percent)
        return min(longestNanoseconds, max(0, creditNanoseconds) + Self.freeNanoseconds)
    }

    /// Pays for a polling of this length.
    package mutating func spend(_ nanoseconds: Int64) {
        creditNanoseconds -= max(0, nanoseconds - Self.freeNanoseconds)
    }
}
