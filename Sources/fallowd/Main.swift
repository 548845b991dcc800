import ArgumentParser
import FallowAgent
import FallowConfiguration
import FallowControl
import FallowLocal
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
    @Flag(help: "End what an agent that is gone has left, its leases, cgroups and sockets, and end.")
    var cleanUp = false
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
        if cleanUp {
            do { return try agent.cleanUp() } catch {
                log.error("what was left stays: \(error)")
                throw ExitCode.failure
            }
        }
        let manager = ServiceManager(environment: ProcessInfo.processInfo.environment)
        let work = Task { try await agent.run(manager: manager) }
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
