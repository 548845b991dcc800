/// `scontrol show config` as keys and values, whatever their case. What it prints of cgroup.conf is among them.
public struct SlurmConfigText: Sendable {
    private var values: [String: String] = [:]

    public init(_ text: String) {
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = line[..<equals].filter { !$0.isWhitespace }
            let value = String(line[line.index(after: equals)...])
            values[key.lowercased()] = String(value.drop { $0 == " " })
        }
    }

    public subscript(key: String) -> String? { values[key.lowercased()] }

    /// The absolute paths of a value: Slurm takes several between commas, and patterns, which are left out.
    public func files(_ key: String) -> [String] {
        (said(key) ?? "").split(separator: ",").map { String($0) }.filter { $0.hasPrefix("/") && !$0.contains("*") }
    }

    /// A value that says something: not `(null)`, `none` or empty.
    func said(_ key: String) -> String? {
        guard let value = self[key], !["", "(null)", "none", "n/a"].contains(value.lowercased()) else { return nil }
        return value
    }
}
