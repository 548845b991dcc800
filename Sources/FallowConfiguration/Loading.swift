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

    /// What the package says of itself, such as where its programs are: `share/fallow/fallow.yaml` beside the `bin` or `sbin` that
    /// this program lies in. Nil: it is not installed.
    public static var vendorPath: String? {
        let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        let folder = program.deletingLastPathComponent()
        guard ["bin", "sbin"].contains(folder.lastPathComponent) else { return nil }
        let path = folder.deletingLastPathComponent().appending(path: "share/fallow/fallow.yaml")
            .path(percentEncoded: false)
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    /// Reads the settings: defaults, then what the package says, then the site's file, then the environment.
    ///
    /// - Parameters:
    ///   - path: the site's file; nil: `$FALLOW_CONFIG`, else `standardPath` if it exists.
    ///   - vendor: the package's file; nil: there is none.
    ///   - environment: usually the process's own.
    /// - Throws: `ConfigurationError`: the named file is missing or no YAML, a key is unknown, a value is no good.
    public static func load(
        path: String?, environment: [String: String], vendor: String? = vendorPath
    ) throws(ConfigurationError) -> LoadedSettings {
        var loaded = LoadedSettings(settings: Settings(), origins: [:])
        for key in ConfigurationKey.all { loaded.origins[key.name] = "default" }
        if let vendor { try loaded.apply(file: vendor) }
        let named = path ?? environment["FALLOW_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        if let named {
            try loaded.apply(file: named)
        } else if FileManager.default.fileExists(atPath: standardPath) {
            try loaded.apply(file: standardPath)
        }
        try loaded.apply(environment: environment)
        return loaded
    }

    private mutating func apply(file path: String) throws(ConfigurationError) {
        let values = try flattened(read(path), of: path)
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            try set(name, value.text, isList: value.isList, origin: path, place: "\(path): \(clipped(name))")
        }
    }

    /// Longest file that is read.
    static let fileLimitBytes = 1 << 20

    private func read(_ path: String) throws(ConfigurationError) -> String {
        // Only a regular file of a sane size: a pipe would block, /dev/zero never end.
        let attributes = try? FileManager.default.attributesOfItem(
            atPath: URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false))
        guard attributes?[.type] as? FileAttributeType == .typeRegular,
            let data = FileManager.default.contents(atPath: path)
        else { throw ConfigurationError(description: "cannot read the configuration file \(path)") }
        guard data.count <= Self.fileLimitBytes else {
            throw ConfigurationError(
                description: "\(path) has more than \(Self.fileLimitBytes) bytes: no settings are so long")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw ConfigurationError(description: "\(path) is no good YAML: it is not UTF-8 text")
        }
        return text
    }

    private mutating func apply(environment: [String: String]) throws(ConfigurationError) {
        for key in ConfigurationKey.all {
            guard let text = environment[key.environmentVariable] else { continue }
            try set(key.name, text, isList: false, origin: key.environmentVariable, place: key.environmentVariable)
        }
    }

    private mutating func set(
        _ name: String, _ text: String, isList: Bool, origin: String, place: String
    ) throws(ConfigurationError) {
        guard let key = ConfigurationKey.all.first(where: { $0.name == name }) else {
            // A section whose keys are all commented out.
            if text.isEmpty, ConfigurationKey.all.contains(where: { $0.name.hasPrefix(name + ".") }) { return }
            let near = nearest(to: String(name.prefix(200)), in: ConfigurationKey.all.map(\.name))
            throw ConfigurationError(description: "\(place): there is no such key; the nearest is '\(near)'")
        }
        guard !isList || key.takesList, key.set(&settings, text) else {
            let text = isList && !key.takesList ? "[\(text)]" : text
            throw ConfigurationError(description: "\(place): '\(clipped(text))' is no good value; \(key.form) is")
        }
        origins[name] = origin
    }
}

/// Enough of a text to recognize it by.
private func clipped(_ text: String, to limit: Int = 80) -> String {
    text.count > limit ? text.prefix(limit) + "…" : text
}

/// A leaf of a YAML document.
private struct Leaf {
    var text: String
    var isList = false
}

/// The leaves of a YAML document as dotted keys and texts; lists of scalars are joined with commas.
private func flattened(_ yaml: String, of path: String) throws(ConfigurationError) -> [String: Leaf] {
    do {
        var leaves: [String: Leaf] = [:]
        var visited = 0
        try flatten(Yams.compose(yaml: yaml), under: "", into: &leaves, visited: &visited)
        return leaves
    } catch {
        throw ConfigurationError(description: "\(path) is no good YAML: \(clipped("\(error)", to: 300))")
    }
}

/// So many keys no settings have; anchors within anchors could make any number of a short file.
private let keyLimit = 1000

private func flatten(
    _ node: Node?, under prefix: String, into leaves: inout [String: Leaf], visited: inout Int
) throws {
    visited += 1
    guard visited <= keyLimit else { throw ConfigurationError(description: "it has more than \(keyLimit) keys") }
    func add(_ leaf: Leaf) throws {
        guard leaves.updateValue(leaf, forKey: prefix) == nil else {
            throw ConfigurationError(description: "'\(clipped(prefix))' stands there twice")
        }
    }
    switch node {
    case nil: return
    case .scalar(let scalar) where prefix.isEmpty && scalar.string.isEmpty: return
    case .scalar, .sequence:
        guard !prefix.isEmpty else {
            throw ConfigurationError(description: "keys and values are expected, such as 'cluster: {name: alps}'")
        }
        // `key:` and `key: ~` say nothing.
        if let scalar = node?.scalar { return try add(Leaf(text: node?.null == nil ? scalar.string : "")) }
        let items = (node?.sequence ?? []).map(\.scalar?.string)
        guard !items.contains(nil) else {
            throw ConfigurationError(description: "the list of '\(clipped(prefix))' holds more than plain values")
        }
        try add(Leaf(text: items.compactMap { $0 }.joined(separator: ","), isList: true))
    case .mapping(let mapping):
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                throw ConfigurationError(description: "a key under '\(clipped(prefix))' is no plain text")
            }
            try flatten(value, under: prefix.isEmpty ? name : prefix + "." + name, into: &leaves, visited: &visited)
        }
    default: throw ConfigurationError(description: "aliases are not supported")
    }
}

/// A candidate that `text` begins, else the one with the smallest edit distance (Levenshtein) to it.
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
    if let longer = candidates.first(where: { $0.hasPrefix(text) }) { return longer }
    return candidates.min { distance(Array($0.utf8), Array(text.utf8)) < distance(Array($1.utf8), Array(text.utf8)) }
        ?? ""
}
