import Logging
import Synchronization
import Testing

@testable import FallowLogging

/// An outlet whose lines are kept, on a clock that is set by hand.
private final class Recorder: Sendable {
    private let lines = Mutex<[String]>([])
    private let time = Mutex<Duration>(.zero)
    var written: [String] { lines.withLock { $0 } }
    var now: Duration {
        get { time.withLock { $0 } }
        set { time.withLock { $0 = newValue } }
    }

    func outlet(_ levels: LogLevels, form: LogLine.Form = .journal) -> LogOutlet {
        LogOutlet(
            levels: levels, form: form, now: { self.now }, write: { line in self.lines.withLock { $0.append(line) } })
    }
}

private func logger(_ outlet: LogOutlet) -> Logger { Logger(label: "test") { outlet.handler(label: $0) } }

@Suite struct Outlet {
    @Test func writesOneLineAnEvent() {
        let recorder = Recorder()
        var log = logger(recorder.outlet(LogLevels()))
        log[metadataKey: "node"] = "n1"
        log.warning("all is lost", metadata: ["job": "7", "also": "x"], source: "FallowHost")
        #expect(recorder.written == ["<4>also=x job=7 node=n1 [FallowHost] all is lost\n"])
    }

    @Test(arguments: ["a\nb", "a\rb", "a\u{1b}[2Jb", "a\u{0}b", "a\u{2028}b", "a\u{85}b"])
    func letsNoTextLookLikeALine(_ text: String) {
        let recorder = Recorder()
        logger(recorder.outlet(LogLevels())).info("\(text)", metadata: ["value": "\(text)"], source: "M")
        #expect(recorder.written.count == 1)
        let controls = recorder.written.joined().dropLast().unicodeScalars.filter {
            $0.value < 0x20 || (0x7f...0x9f).contains($0.value) || $0.value == 0x2028
        }
        #expect(controls.isEmpty)
    }

    @Test func hasTheTimeAndTheLabelWhereNobodyElseSaysThem() throws {
        let recorder = Recorder()
        logger(recorder.outlet(LogLevels(), form: .full)).notice("here", source: "M")
        let line = try #require(recorder.written.first)
        #expect(
            line.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z notice test: \[M\] here\n/) != nil, "\(line)")
    }

    @Test(arguments: [
        (Logger.Level.trace, 7), (.debug, 7), (.info, 6), (.notice, 5), (.warning, 4), (.error, 3), (.critical, 2),
    ])
    func tellsTheJournalTheLevel(_ level: Logger.Level, _ priority: Int) {
        let recorder = Recorder()
        logger(recorder.outlet(LogLevels(.trace))).log(level: level, "x", source: "M")
        #expect(recorder.written == ["<\(priority)>[M] x\n"])
    }

    @Test func asksTheModulesLevelAndTakesAnotherAtAnyTime() {
        let recorder = Recorder()
        let outlet = recorder.outlet(LogLevels(.warning, modules: ["Talks": .debug]))
        let log = logger(outlet)
        func say(_ word: String) {
            log.debug("\(word)", source: "Talks")
            log.debug("\(word)", source: "Silent")
        }
        say("first")
        outlet.levels = LogLevels(.debug, modules: ["Talks": .error])
        say("second")
        #expect(recorder.written == ["<7>[Talks] first\n", "<7>[Silent] second\n"])
    }

    @Test func evaluatesNothingForLinesThatNoModuleWrites() {
        var evaluated = false
        let log = logger(Recorder().outlet(LogLevels(.info, modules: ["A": .warning])))
        func text() -> String {
            evaluated = true
            return "x"
        }
        log.debug("\(text())", source: "B")
        #expect(!evaluated)
    }

    @Test func obeysTheLevelOfALogger() {
        let recorder = Recorder()
        var log = logger(recorder.outlet(LogLevels(.error)))
        log.logLevel = .debug
        log.debug("x", source: "M")
        #expect(recorder.written == ["<7>[M] x\n"])
    }

    @Test func leavesOutWhatAStatementSaysTooOftenAndSaysSo() {
        let recorder = Recorder()
        let log = logger(recorder.outlet(LogLevels()))
        for index in 0..<LogRate.burst + 30 { log.info("again \(index)", source: "M") }
        #expect(recorder.written.count == LogRate.burst)
        recorder.now = .seconds(10)
        log.info("another", source: "M")
        #expect(
            recorder.written.dropFirst(LogRate.burst) == [
                "<5>count=30 [M] as many lines were left out: again \(LogRate.burst)\n", "<6>[M] another\n",
            ])
    }

    @Test func tellsTheRestAtTheEnd() {
        let recorder = Recorder()
        let outlet = recorder.outlet(LogLevels())
        let log = logger(outlet)
        for _ in 0..<LogRate.burst + 1 { log.info("again", source: "M") }
        outlet.flush(label: "test")
        outlet.flush(label: "test")
        #expect(recorder.written.count == LogRate.burst + 1)
        #expect(recorder.written.last == "<5>count=1 [M] as many lines were left out: again\n")
    }

    @Test func neverLeavesOutWhatIsCritical() {
        let recorder = Recorder()
        let log = logger(recorder.outlet(LogLevels()))
        for _ in 0..<LogRate.burst * 3 { log.critical("it did not die", source: "M") }
        #expect(recorder.written.filter { $0.hasSuffix("[M] it did not die\n") }.count == LogRate.burst * 3)
    }
}
