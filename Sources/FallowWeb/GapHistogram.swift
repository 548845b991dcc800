internal import FallowReporting

/// How long idle gaps were: few bars whose bounds people know, out of the many buckets of a tally.
struct GapHistogram: Codable, Sendable, Hashable {
    /// The bars' upper bounds in seconds and their names.
    static let bounds: [(seconds: Double, name: String)] = [
        (1, "≤ 1 s"), (5, "5 s"), (15, "15 s"), (30, "30 s"), (60, "1 min"), (120, "2 min"), (300, "5 min"),
        (600, "10 min"), (1200, "20 min"), (1800, "30 min"), (3600, "1 h"), (7200, "2 h"), (14_400, "4 h"),
        (28_800, "8 h"), (86_400, "1 d"), (.infinity, "> 1 d"),
    ]
    var names: [String]
    /// Gaps, and the core- or node-hours in them.
    var counts: [Int64]
    var hours: [Double]
    var count: Int64
    var medianSeconds: Double?
    var p90Seconds: Double?
    /// The longest term that fits nine times in ten.
    var termSeconds: Double?
    /// The bar in which the term lies.
    var termBar: Int?

    init(_ tally: Tally) {
        names = Self.bounds.map(\.name)
        counts = Array(repeating: 0, count: names.count)
        hours = Array(repeating: 0, count: names.count)
        for bucket in tally.buckets.values where bucket.count > 0 {
            let bar = Self.bar(of: bucket.sum / Double(bucket.count))
            counts[bar] += bucket.count
            hours[bar] += bucket.sum / 3600
        }
        hours = hours.map { ($0 * 1000).rounded() / 1000 }
        count = tally.count
        medianSeconds = tally.quantile(0.5)
        p90Seconds = tally.quantile(0.9)
        termSeconds = tally.fittingTerm()
        termBar = termSeconds.map(Self.bar)
    }

    static func bar(of seconds: Double) -> Int { bounds.firstIndex { seconds <= $0.seconds } ?? bounds.count - 1 }
}
