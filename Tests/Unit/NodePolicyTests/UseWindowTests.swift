import FallowModel
import Testing

@testable import FallowPolicy

@Suite struct TheWindow {
    static func watched(_ samples: [(Double, Double, Int64)], span: Duration = .seconds(10)) -> UseWindow {
        var window = UseWindow(span: span)
        for (seconds, cpu, memory) in samples { window.add(cpuSeconds: cpu, memory: gib(memory), at: at(seconds)) }
        return window
    }
    static let idle = (0...10).map { (Double($0), 5.0, Int64(1)) }

    @Test func isCompleteOnceWatchedWholeAndUntilItIsStale() {
        #expect(!UseWindow(span: .seconds(10)).isComplete(at: at(100)))
        #expect(!Self.watched(Self.idle.dropLast()).isComplete(at: at(10)))
        let window = Self.watched(Self.idle)
        #expect(window.isComplete(at: at(10)))
        #expect(window.isComplete(at: at(20)))
        #expect(!window.isComplete(at: at(20.1)))
        #expect(!window.isComplete(at: at(9)))
    }

    @Test func seesABurstBetweenTwoSamplesAndForgetsItAfterTheWindow() {
        var window = Self.watched(Self.idle + [(11, 8, 4), (12, 8, 1)])
        #expect(window.peakCores == 3)
        #expect(window.peakMemory == gib(4))
        for second in 13...24 { window.add(cpuSeconds: 8, memory: gib(1), at: at(Double(second))) }
        #expect(window.peakCores == 0)
        #expect(window.peakMemory == gib(1))
    }

    @Test func aCounterThatFallsIsNoUse() { #expect(Self.watched([(0, 100, 1), (1, 3, 1)]).peakCores == 0) }

    @Test func aClockThatGoesBackBeginsAnew() {
        let window = Self.watched(Self.idle + [(3, 5, 1)])
        #expect(!window.isComplete(at: at(3)))
        #expect(!window.isComplete(at: at(10)))
    }

    @Test func aPauseInTheSamplesBeginsAnew() {
        #expect(!Self.watched(Self.idle + [(21, 5, 1), (22, 5, 1)]).isComplete(at: at(22)))
    }

    @Test func twoSamplesOfOneMomentAreOne() {
        #expect(Self.watched([(0, 0, 1), (1, 1, 1), (1, 900, 9)]).peakCores == 1)
    }

    @Test func aShortWindowBearsSamplesThatComeLate() {
        let window = Self.watched([(0, 0, 1), (1.05, 0, 1), (2.1, 0, 1)], span: .seconds(1))
        #expect(window.isComplete(at: at(3.2)))
    }

    @Test func aLongWindowAgreesWithTheNaiveOneAndStaysSmall() {
        var random = SplitMix64(state: 7)
        var window = UseWindow(span: .seconds(3600))
        var all: [(second: Double, cpu: Double, memory: Int64)] = []
        var cpu = 0.0
        for second in 0..<8000 {
            cpu += Double(random.below(100)) / 100
            all.append((Double(second), cpu, Int64(random.below(1 << 20))))
            window.add(cpuSeconds: cpu, memory: ByteCount(all[second].memory), at: at(Double(second)))
        }
        // Merged stretches may reach back one hundredth of the window further than it.
        func peak(_ from: Int) -> (Double, Int64) {
            let rates = (from..<7999).map { (all[$0 + 1].cpu - all[$0].cpu) / (all[$0 + 1].second - all[$0].second) }
            return (rates.max()!, all[from...].map(\.memory).max()!)
        }
        #expect(window.isComplete(at: at(7999)))
        #expect(window.peakCores >= peak(7999 - 3600).0 - 1e-9)
        #expect(window.peakCores <= peak(7999 - 3640).0 + 1e-9)
        #expect(window.peakMemory.bytes >= peak(7999 - 3600).1)
        #expect(window.peakMemory.bytes <= peak(7999 - 3640).1)
        #expect(window.stretchCount <= 260)
    }
}
