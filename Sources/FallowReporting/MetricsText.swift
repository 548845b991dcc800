/// Metrics in Prometheus's text format (version 0.0.4): each family's help and type, then its samples.
public struct MetricsText: Sendable {
    public private(set) var text = ""
    public init() {}

    public enum Kind: String, Sendable {
        case counter
        case gauge
    }

    /// A family with one sample for each set of labels.
    ///
    /// - Parameters:
    ///   - name: with its base unit; a counter's ends in `_total`.
    ///   - samples: labels and values. Label values are few and known: never a user, a job or a node.
    public mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]
    ) {
        head(name, kind.rawValue, help)
        for sample in samples { line(name, sample.labels, sample.value) }
    }
    public mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        add(name, kind, help, [([], value)])
    }

    /// A histogram for each set of labels, by the bounds of `Distribution`.
    public mutating func add(
        _ name: String, _ help: String, _ samples: [(labels: [(String, String)], distribution: Distribution)]
    ) {
        head(name, "histogram", help)
        for (labels, distribution) in samples {
            var below: Int64 = 0
            for (bound, count) in zip(distribution.bounds, distribution.counts) {
                below += count
                line(name + "_bucket", labels + [("le", Self.number(bound))], Double(below))
            }
            line(name + "_bucket", labels + [("le", "+Inf")], Double(distribution.count))
            line(name + "_sum", labels, distribution.sum)
            line(name + "_count", labels, Double(distribution.count))
        }
    }

    private mutating func head(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }
    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
        let list = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        text += name + (list.isEmpty ? "" : "{\(list)}") + " \(Self.number(value))\n"
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
    }
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return value == value.rounded(.towardZero) && value.magnitude < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}

/// Counts of values up to each of a few bounds.
public struct Distribution: Sendable, Hashable {
    public let bounds: [Double]
    /// Between the bounds; what is above the last is in `count` alone.
    public private(set) var counts: [Int64]
    public private(set) var count: Int64 = 0
    public private(set) var sum = 0.0

    /// - Parameter bounds: rising.
    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count)
    }
    public mutating func add(_ value: Double) {
        if let index = bounds.firstIndex(where: { value <= $0 }) { counts[index] += 1 }
        count += 1
        sum += value
    }
}

/// What the history has counted since it was opened: for metrics, which begin anew with each start.
public struct HistoryCounters: Sendable, Hashable {
    public var use = NodeUse()
    public var nodeGapSeconds = Distribution(bounds: Self.gapBounds)
    public var coreGapSeconds = Distribution(bounds: Self.gapBounds)
    public var vacateSeconds = Distribution(bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1])
    private static let gapBounds: [Double] = [1, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400]
    public init() {}
}
