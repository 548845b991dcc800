internal import Configuration
internal import Yams

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What is wrong with a configuration, in one sentence that names the place and what would be right.
public struct ConfigurationError: Error, CustomStringConvertible, Hashable {
    public let description: String
}

/// The settings in force, and where each came from.
public struct LoadedSettings: Sendable {
    public var settings: Settings
    /// Key name to `default`, a file's path, or an environment variable's name.
    public var origins: [String: String]

    /// The file that is read when nothing else is said.
    public static let standardPath = "/etc/fallow/fallow.yaml"

    /// Reads the settings: defaults, then the file, then the environment.
    ///
    /// - Parameters:
    ///   - path: the file; nil: `$FALLOW_CONFIG`, else `standardPath` if it exists.
    ///   - environment: usually the process's own.
    /// - Throws: `ConfigurationError`: the named file is missing or no YAML, a key is unknown, a value is no good.
    public static func load(path: String?, environment: [String: String]) throws(ConfigurationError) -> LoadedSettings {
        var loaded = LoadedSettings(settings: Settings(), origins: [:])
        for key in ConfigurationKey.all { loaded.origins[key.name] = "default" }
        let named = path ?? environment["FALLOW_CONFIG"]
        if let named {
            try loaded.apply(file: named)
        } else if FileManager.default.fileExists(atPath: standardPath) {
            try loaded.apply(file: standardPath)
        }
        try loaded.apply(environment: environment)
        return loaded
    }

    private mutating func apply(file path: String) throws(ConfigurationError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ConfigurationError(description: "cannot read the configuration file \(path)")
        }
        let values: [String: String]
        do {
            values = try flatten(Yams.compose(yaml: String(decoding: data, as: UTF8.self)), under: "")
        } catch {
            throw ConfigurationError(description: "\(path) is no good YAML: \(error)")
        }
        for (name, text) in values.sorted(by: { $0.key < $1.key }) {
            try set(name, text, origin: path, place: "\(path): \(name)")
        }
    }

    private mutating func apply(environment: [String: String]) throws(ConfigurationError) {
        let provider = EnvironmentVariablesProvider(environmentVariables: environment)
        let reader = ConfigReader(provider: provider)
        for key in ConfigurationKey.all {
            guard let text = reader.string(forKey: ConfigKey("fallow." + key.name)) else { continue }
            try set(key.name, text, origin: key.environmentVariable, place: key.environmentVariable)
        }
    }

    private mutating func set(
        _ name: String, _ text: String, origin: String, place: String
    ) throws(ConfigurationError) {
        guard let key = ConfigurationKey.all.first(where: { $0.name == name }) else {
            let near = nearest(to: name, in: ConfigurationKey.all.map(\.name))
            throw ConfigurationError(description: "\(place): there is no such key; the nearest is '\(near)'")
        }
        guard key.set(&settings, text) else {
            throw ConfigurationError(description: "\(place): '\(text)' is no good value; \(key.form) is")
        }
        origins[name] = origin
    }
}

/// The leaves of a YAML document as dotted keys and texts; lists of scalars are joined with commas.
private func flatten(_ node: Node?, under prefix: String) throws -> [String: String] {
    switch node {
    case nil: return [:]
    case .scalar(let scalar):
        if prefix.isEmpty {
            if scalar.string.isEmpty { return [:] }
            throw ConfigurationError(description: "keys and values are expected, such as 'cluster: {name: alps}'")
        }
        return [prefix: scalar.string]
    case .sequence(let sequence):
        return [prefix: sequence.compactMap { $0.scalar?.string }.joined(separator: ",")]
    case .mapping(let mapping):
        var result: [String: String] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? "?"
            result.merge(try flatten(value, under: prefix.isEmpty ? name : prefix + "." + name)) { $1 }
        }
        return result
    default:
        throw ConfigurationError(description: "aliases are not supported")
    }
}

/// The candidate with the smallest edit distance (Levenshtein) to `text`.
func nearest(to text: String, in candidates: [String]) -> String {
    func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let next = Swift.min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[b.count]
    }
    return candidates.min { distance(Array($0.utf8), Array(text.utf8)) < distance(Array($1.utf8), Array(text.utf8)) }
        ?? ""
}
