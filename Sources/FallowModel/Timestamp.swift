/// A moment of wall-clock time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Policy and history use it; waiting and time-outs use a monotonic clock instead.
public struct Timestamp: Hashable, Comparable, Sendable, Codable {
    public var nanosecondsSinceEpoch: Int64

    public init(nanosecondsSinceEpoch: Int64) { self.nanosecondsSinceEpoch = nanosecondsSinceEpoch }
    /// Saturates where nanoseconds cannot count that far; not-a-number is the epoch.
    public init(secondsSinceEpoch: Double) {
        let nanoseconds = secondsSinceEpoch * 1e9
        nanosecondsSinceEpoch =
            nanoseconds.isNaN ? 0 : Int64(exactly: nanoseconds.rounded(.towardZero)) ?? (nanoseconds < 0 ? .min : .max)
    }

    public var secondsSinceEpoch: Double { Double(nanosecondsSinceEpoch) / 1e9 }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanosecondsSinceEpoch < b.nanosecondsSinceEpoch }
    /// Saturates at the ends of time.
    public static func + (moment: Timestamp, span: Duration) -> Timestamp {
        let (sum, overflow) = moment.nanosecondsSinceEpoch.addingReportingOverflow(span.nanoseconds)
        return Timestamp(nanosecondsSinceEpoch: overflow ? (span < .zero ? .min : .max) : sum)
    }
    /// The span from `earlier` to `later`; negative when they are the other way round. Saturates at 292 years.
    public static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        let (span, overflow) = later.nanosecondsSinceEpoch.subtractingReportingOverflow(earlier.nanosecondsSinceEpoch)
        return .nanoseconds(overflow ? (later < earlier ? .min : .max) : span)
    }

    public init(from decoder: any Decoder) throws {
        nanosecondsSinceEpoch = try decoder.singleValueContainer().decode(Int64.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(nanosecondsSinceEpoch)
    }
}

extension Duration {
    /// The whole span in nanoseconds; saturates beyond 292 years.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }
    /// The span in seconds, with a fraction.
    public var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
