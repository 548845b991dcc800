internal import ArgumentParser
internal import FallowConfiguration
internal import FallowControl
internal import FallowModel
internal import FallowWire
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Options that every command which asks the co-scheduler takes.
struct CommonOptions: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false
    @Option(help: "The configuration file.")
    var config: String?
    @Option(help: "fallowctld's URL (default: controller.url).")
    var controller: String?

    func settings() throws -> Settings {
        var settings = try LoadedSettings.load(path: config, environment: ProcessInfo.processInfo.environment).settings
        if let controller { settings.controllerURL = controller }
        return settings
    }

    /// Asks fallowctld, as the user who runs this.
    func get<Reply: Codable & Sendable>(_ path: String, _ type: Reply.Type) async throws -> Reply {
        let settings = try settings()
        return try await client(settings).send(.get, settings.controllerURL, path, attempts: 2)
    }

    func client(_ settings: Settings) -> SealedClient {
        SealedClient(munge: Munge(socket: settings.mungeSocket), trustedUsers: settings.trustedUsers)
    }

    /// Prints `value` as JSON, or what `text` makes of it.
    func show<Value: Encodable>(_ value: Value, text: (Value) -> String) throws {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(value), as: UTF8.self))
        } else {
            print(text(value), terminator: "")
        }
    }
}

/// The name of a user, or the number when there is none.
func userName(_ user: UserID) -> String {
    guard let entry = getpwuid(user.number) else { return "\(user)" }
    return String(cString: entry.pointee.pw_name)
}

extension Timestamp {
    static func current() -> Timestamp { Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970) }

    /// Local time as `2026-03-01T12:30:00`, Slurm's form.
    var localText: String {
        var seconds = time_t(nanosecondsSinceEpoch / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    }
}

/// A span as `2-03:04:05` or `03:04:05`, Slurm's form.
func clockText(seconds: Double) -> String {
    let total = Int(max(0, seconds).rounded())
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let clock = "\(two(total / 3600 % 24)):\(two(total / 60 % 60)):\(two(total % 60))"
    return total >= 86400 ? "\(total / 86400)-\(clock)" : clock
}
