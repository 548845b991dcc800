public import FallowModel

/// What the site allows, as cluster policy needs it.
public struct ClusterLimits: Sendable, Hashable {
    /// The term of a lease that names none.
    public var termDefault: Duration = .seconds(300)
    public var termMaximum: Duration = .seconds(3600)
    /// A gap in Slurm's plan that is shorter is not offered.
    public var termMinimum: Duration = .seconds(1)
    /// Of each kind.
    public var leasesPerUser = 64
    public var coresPerUser = 1024
    /// In donors.
    public var memoryPerUser = ByteCount.gibibytes(128)
    /// A donor for whose size nothing was said.
    public var donorSize = ByteCount.gibibytes(2)
    /// A node that has not reported for so long lends nothing, and its leases count as lost.
    public var silentAfter: Duration = .seconds(6)
    /// How long a grant may be on its way to the node that obeys it: the library travels meanwhile.
    public var obeyWithin: Duration = .seconds(30)
    /// Answered requests and ended leases that are remembered, so that a repeated one is recognised.
    public var remembered = 4096

    public init() {}
}

/// A map that forgets its oldest entries.
struct RecentMap<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private var values: [Key: Value] = [:]
    private var order: [Key] = []
    private var oldest = 0
    let limit: Int

    init(limit: Int) { self.limit = max(1, limit) }

    subscript(key: Key) -> Value? { values[key] }
    var count: Int { values.count }

    mutating func insert(_ key: Key, _ value: Value) {
        if values.updateValue(value, forKey: key) != nil { return }
        if order.count < limit {
            order.append(key)
        } else {
            values[order[oldest]] = nil
            order[oldest] = key
            oldest = (oldest + 1) % limit
        }
    }
}
