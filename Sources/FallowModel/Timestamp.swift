/// A moment of wall-clock time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Policy and history use it; waiting and time-outs use a monotonic clock instead.
public struct Timestamp: Hashable, Comparable, Sendable, Codable {
    public var nanosecondsSinceEpoch: Int64

    public init(nanosecondsSinceEpoch: Int64) { self.nanosecondsSinceEpoch = nanosecondsSinceEpoch }
    public init(secondsSinceEpoch: Double) { nanosecondsSinceEpoch = Int64(secondsSinceEpoch * 1e9) }

    public var secondsSinceEpoch: Double { Double(nanosecondsSinceEpoch) / 1e9 }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanosecondsSinceEpoch < b.nanosecondsSinceEpoch }
    public static func + (moment: Timestamp, span: Duration) -> Timestamp {
        Timestamp(nanosecondsSinceEpoch: moment.nanosecondsSinceEpoch + span.nanoseconds)
    }
    /// The span from `earlier` to `later`; negative when they are the other way round.
    public static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .nanoseconds(later.nanosecondsSinceEpoch - earlier.nanosecondsSinceEpoch)
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
        return product + attoseconds / 1_000_000_000
    }
    /// The span in seconds, with a fraction.
    public var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
