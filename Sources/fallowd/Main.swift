import ArgumentParser
import FallowAgent
import FallowConfiguration
import FallowControl
import Logging

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The node agent.
@main
struct Fallowd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fallowd", abstract: "The node agent: lends what this node's jobs leave idle, and gives it back.",
        version: "fallowd \(Agent.version)")

    @Option(name: .shortAndLong, help: "The configuration file.")
    var config: String?
    @Flag(help: "Check the configuration and end.")
    var check = false
    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel = "info"

    func run() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError("'\(logLevel)' is no log level; trace, debug, info, notice, warning and error are")
        }
        let loaded = try LoadedSettings.load(path: config, environment: ProcessInfo.processInfo.environment)
        if check { return print("the configuration is good") }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var log = Logger(label: "fallowd")
        log.logLevel = level
        let agent = Agent(settings: loaded.settings, log: log)
        let work = Task { try await agent.run() }
        let stop = Task {
            if let signal = await StopSignal.wait() { log.notice("\(signal): stopping") }
            work.cancel()
        }
        defer { stop.cancel() }
        do {
            try await work.value
        } catch {
            log.critical("fallowd cannot run: \(error)")
            throw ExitCode.failure
        }
    }
}
