import Testing

@testable import FallowLogging

@Suite struct Rate {
    private let one = LogRate.Statement(file: "M/a.swift", line: 1)
    private let other = LogRate.Statement(file: "M/a.swift", line: 2)

    @Test func letsABurstThroughAndThenOneAPeriod() {
        var rate = LogRate()
        var written: [Int] = []
        // A line each 100 ms for a minute.
        for tick in 0..<600 where rate.admits(one, module: "M", text: "x", at: .milliseconds(100 * tick)) {
            written.append(tick)
        }
        let first = written.prefix(LogRate.burst)
        #expect(Array(first) == Array(0..<LogRate.burst))
        let gaps = zip(written.dropFirst(LogRate.burst), written.dropFirst(LogRate.burst + 1)).map { $1 - $0 }
        #expect(gaps.allSatisfy { $0 == 30 || $0 == 31 }, "\(gaps)")
        #expect(written.count == LogRate.burst + 60 / 3 - 1 || written.count == LogRate.burst + 60 / 3)
    }

    @Test func countsWhatItLeavesOutAndTellsItOnce() {
        var rate = LogRate()
        for index in 0..<LogRate.burst + 7 { _ = rate.admits(one, module: "M", text: "line \(index)", at: .zero) }
        #expect(rate.omissions(at: .zero) == [])
        let told = rate.omissions(at: LogRate.period)
        #expect(told == [.init(count: 7, text: "line \(LogRate.burst)", module: "M")])
        #expect(rate.omissions(at: LogRate.period * 2) == [])
    }

    @Test func tellsAllAtTheEnd() {
        var rate = LogRate()
        for _ in 0..<LogRate.burst + 1 { _ = rate.admits(one, module: "M", text: "x", at: .zero) }
        #expect(rate.omissions(at: .zero, all: true).map(\.count) == [1])
    }

    @Test func ofOneStatementIsNotAnothers() {
        var rate = LogRate()
        for _ in 0..<1_000 { _ = rate.admits(one, module: "M", text: "x", at: .zero) }
        let written = rate.admits(other, module: "M", text: "y", at: .zero)
        #expect(written)
    }

    @Test func isFullAgainAfterQuiet() {
        var rate = LogRate()
        for _ in 0..<LogRate.burst { _ = rate.admits(one, module: "M", text: "x", at: .zero) }
        let later = LogRate.period * 1_000
        let written = (0..<100).count { _ in rate.admits(one, module: "M", text: "x", at: later) }
        #expect(written == LogRate.burst)
    }

    @Test func doesNotMindAClockThatStands() {
        var rate = LogRate()
        let written = [9, 3].map { rate.admits(one, module: "M", text: "x", at: .seconds($0)) }
        #expect(written == [true, true])
    }
}
