import ArgumentParser
import FallowAgent
import FallowConfiguration
import FallowControl
import FallowLocal
import FallowLogging
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
    @Option(help: "What is logged until SIGHUP, in place of log.levels: debug, or info,FallowHost=debug.")
    var logLevel: String?

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let loaded = try LoadedSettings.load(path: config, environment: environment)
        var levels = loaded.settings.logLevels
        if let logLevel {
            guard let given = LogLevels(logLevel) else {
                throw ValidationError(
                    "'\(logLevel)' is no log level; trace, debug, info, notice, warning, error and critical are")
            }
            levels = given
        }
        if check { return print("the configuration is good") }
        let outlet = LogOutlet(levels: levels, environment: environment)
        LoggingSystem.bootstrap { outlet.handler(label: $0) }
        let log = Logger(label: "fallowd")
        let agent = Agent(settings: loaded.settings, log: log)
        if cleanUp {
            do { return try agent.cleanUp() } catch {
                log.error("what was left stays: \(error)")
                throw ExitCode.failure
            }
        }
        let path = config
        let reload = outlet.rereadOnHangup(log: log) {
            try LoadedSettings.load(path: path, environment: environment).settings.logLevels
        }
        defer {
            reload.cancel()
            outlet.flush(label: log.label)
        }
        let manager = ServiceManager(environment: environment)
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
