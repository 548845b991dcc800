import ArgumentParser
import FallowConfiguration
import FallowController
import FallowLocal
import FallowLogging
import Glibc
import Logging

/// The cluster's co-scheduler.
@main
struct Fallowctld: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fallowctld",
        abstract: "Places leases on the cluster's leftovers and remembers what became of them.",
        discussion: "One per cluster. Logs to standard error, reads log.levels again on SIGHUP, stops on SIGTERM.",
        version: Controller.version)

    @Option(help: "The configuration file; default: $FALLOW_CONFIG, else /etc/fallow/fallow.yaml if it exists.")
    var config: String?

    @Flag(help: "Check the configuration and stop.")
    var check = false

    func run() async throws {
        var environment: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { environment[String(pair[0])] = String(pair[1]) }
            entry += 1
        }
        do {
            let loaded = try LoadedSettings.load(path: config, environment: environment)
            if check {
                print("the configuration is good")
                return
            }
            let (path, variables) = (config, environment)
            let outlet = LogOutlet(levels: loaded.settings.logLevels, environment: variables)
            LoggingSystem.bootstrap { outlet.handler(label: $0) }
            let logger = Logger(label: "fallowctld")
            let reload = outlet.rereadOnHangup(log: logger) {
                try LoadedSettings.load(path: path, environment: variables).settings.logLevels
            }
            defer {
                reload.cancel()
                outlet.flush(label: logger.label)
            }
            try await Controller(settings: loaded.settings, logger: logger)
                .runUntilSignalled(manager: ServiceManager(environment: environment))
        } catch {
            let sentence = Array("fallowctld: \(error)\n".utf8)
            _ = write(STDERR_FILENO, sentence, sentence.count)
            throw ExitCode.failure
        }
    }
}
