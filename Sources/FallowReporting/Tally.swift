/// Counts of lengths in buckets that grow by a tenth: quantiles are right within 5 %, and tallies add up.
public struct Tally: Sendable, Hashable {
    /// How many, and their sum, by bucket.
    public private(set) var buckets: [Int: Bucket] = [:]
    public struct Bucket: Sendable, Hashable {
        public var count: Int64
        public var sum: Double
        public init(count: Int64, sum: Double) {
            self.count = count
            self.sum = sum
        }
    }
    public init() {}

    /// The upper bound of each bucket; the first holds all up to 1, the last everything above 3.9e8.
    private static let bounds: [Double] = {
        var bounds = [1.0]
        while bounds.count < 208 { bounds.append(bounds[bounds.count - 1] * 1.1) }
        return bounds
    }()

    /// Which bucket a length falls into.
    public static func bucket(of value: Double) -> Int {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }

    public mutating func add(_ value: Double) {
        add(bucket: Self.bucket(of: value), Bucket(count: 1, sum: value))
    }
    public mutating func add(bucket: Int, _ more: Bucket) {
        buckets[bucket, default: Bucket(count: 0, sum: 0)].count += more.count
        buckets[bucket]?.sum += more.sum
    }

    public var count: Int64 { buckets.values.reduce(0) { $0 + $1.count } }
    public var sum: Double { buckets.values.reduce(0) { $0 + $1.sum } }

    /// The nearest-rank quantile: the mean of the bucket in which it lies; nil when nothing was counted.
    public func quantile(_ share: Double) -> Double? {
        let rank = Double(count) * share
        var seen: Int64 = 0
        for (_, bucket) in buckets.sorted(by: { $0.key < $1.key }) {
            seen += bucket.count
            if Double(seen) >= rank, bucket.count > 0 { return bucket.sum / Double(bucket.count) }
        }
        return nil
    }

    /// The longest term that fits: a lease of that length, begun at a random moment of these gaps, is over before its gap
    /// in `share` of the cases. Nil when nothing was counted.
    ///
    /// Of a gap of length g, the moments from which t still fits are g - t. The share that fits falls as t grows.
    public func fittingTerm(share: Double = 0.9) -> Double? {
        let gaps = buckets.values.filter { $0.count > 0 }.map {
            (length: $0.sum / Double($0.count), n: Double($0.count))
        }
        let all = gaps.reduce(0) { $0 + $1.length * $1.n }
        guard all > 0 else { return nil }
        var low = 0.0
        var high = gaps.map(\.length).max() ?? 0
        for _ in 0..<60 {
            let term = (low + high) / 2
            let fits = gaps.reduce(0) { $0 + max(0, $1.length - term) * $1.n }
            if fits >= share * all { low = term } else { high = term }
        }
        return low
    }
}
