public import Logging

/// Which lines are written: a level for all modules, and others for some.
///
/// As text: `info,FallowHost=debug`. A module is a room of the architecture, as lines name it in brackets.
public struct LogLevels: Sendable, Hashable {
    /// Of modules that are not named.
    public var standard: Logger.Level
    public var modules: [String: Logger.Level]

    public init(_ standard: Logger.Level = .info, modules: [String: Logger.Level] = [:]) {
        self.standard = standard
        self.modules = modules
    }

    /// - Parameter text: levels, separated by commas; one of them, at most, without a module. No level for all is `info`.
    /// - Returns: nil when it is no such text.
    public init?(_ text: String) {
        var standard: Logger.Level?
        modules = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
            guard words.count <= 2, let level = Logger.Level(rawValue: words[words.count - 1]) else { return nil }
            if words.count == 1 {
                guard standard == nil else { return nil }
                standard = level
            } else {
                guard Self.isModule(words[0]), modules.updateValue(level, forKey: words[0]) == nil else { return nil }
            }
        }
        self.standard = standard ?? .info
    }

    /// The text that `init` takes, modules in the order of their names.
    public var text: String {
        ([standard.rawValue] + modules.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
            .joined(separator: ",")
    }

    public func level(of module: String) -> Logger.Level { modules[module] ?? standard }

    /// Below it nothing is written, whatever the module.
    var lowest: Logger.Level { modules.values.reduce(standard, min) }

    private static func isModule(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte & 0xdf) || byte == 0x5f
            }
    }
}
