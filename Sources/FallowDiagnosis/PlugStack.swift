/// A plugstack.conf with what it includes.
public struct PlugStack: Sendable {
    /// The words of each line that is no include, with those of included files in their place.
    public private(set) var lines: [[String]] = []
    /// What `include` lines say that take every file of a folder: editors' copies and packages' leftovers, too.
    public private(set) var greedyIncludes: [String] = []

    /// - Parameters:
    ///   - read: a file's text; nil: it cannot be read.
    ///   - list: the names in a folder.
    public init(path: String, read: (String) -> String?, list: (String) -> [String]) {
        add(path, depth: 0, read, list)
    }

    /// The words of each line that loads a plugin of that file name.
    public func lines(naming name: String) -> [[String]] {
        lines.filter { $0.count > 1 && ($0[1] == name || $0[1].hasSuffix("/" + name)) }
    }

    private mutating func add(_ path: String, depth: Int, _ read: (String) -> String?, _ list: (String) -> [String]) {
        guard depth < 8, let text = read(path) else { return }
        for line in text.split(separator: "\n") {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map { String($0) }
            guard words.first == "include", words.count > 1 else {
                if !words.isEmpty { lines.append(words) }
                continue
            }
            let parts = words[1].split(separator: "/").map { String($0) }
            let here = words[1].hasPrefix("/") ? [] : path.split(separator: "/").dropLast().map { String($0) }
            let folder = (here + parts.dropLast()).reduce("") { "\($0)/\($1)" }
            let name = parts.last ?? ""
            guard let star = name.firstIndex(of: "*") else {
                add("\(folder)/\(name)", depth: depth + 1, read, list)
                continue
            }
            let (before, after) = (name[..<star], name[name.index(after: star)...])
            if after.isEmpty { greedyIncludes.append(words[1]) }
            for file in list(folder).sorted()
            where file.hasPrefix(before) && file.hasSuffix(after) && !file.hasPrefix(".") {
                add("\(folder)/\(file)", depth: depth + 1, read, list)
            }
        }
    }
}
