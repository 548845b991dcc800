import Logging
import Testing

@testable import FallowLogging

@Suite struct Levels {
    @Test(arguments: [
        ("debug", LogLevels(.debug)), ("info,FallowHost=debug", LogLevels(modules: ["FallowHost": .debug])),
        ("FallowHost=trace", LogLevels(modules: ["FallowHost": .trace])),
        ("FallowHost=error, warning , A_1=info", LogLevels(.warning, modules: ["FallowHost": .error, "A_1": .info])),
    ])
    func areReadAndWritten(_ text: String, _ levels: LogLevels) {
        #expect(LogLevels(text) == levels)
        #expect(LogLevels(levels.text) == levels)
    }

    @Test(arguments: [
        "", "loud", "info,", "info,debug", "=info", "A=", "A=info=debug", "A=info,A=debug", "A.b=info", "INFO",
        "A;=info",
        "[info]",
    ])
    func thatAreNoneAreRefused(_ text: String) { #expect(LogLevels(text) == nil) }

    @Test func ofAModuleWin() {
        let levels = LogLevels(.warning, modules: ["A": .debug, "B": .error])
        #expect([levels.level(of: "A"), levels.level(of: "B"), levels.level(of: "C")] == [.debug, .error, .warning])
        #expect(levels.lowest == .debug)
        #expect(LogLevels(.info, modules: ["B": .error]).lowest == .info)
    }
}
