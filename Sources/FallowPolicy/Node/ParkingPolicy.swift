public import FallowModel

/// How many executors of one kind stand ready before anybody asks for one: pure, with the time as an argument.
///
/// Demand is what was asked for of late: as many are kept as leases began in the busiest `burst` within `memory`, up to
/// `maximum`. None is kept while the node may not lend, while memory is short, and once `memory` has passed without a lease.
public struct ParkingPolicy: Sendable {
    public struct Rules: Sendable, Hashable {
        /// The most that stand ready; 0: each lease starts its own.
        public var maximum: Int
        /// Leases that begin within this span find no replacement yet for what the first of them took.
        public var burst: Duration = .seconds(1)
        /// How long a burst is remembered.
        public var memory: Duration = .seconds(300)
        /// Share of the last ten seconds in which somebody waited for memory, in percent; from it on, none is kept.
        public var pressurePercent = 5.0
        /// The pause after an executor died unasked or could not be started; it doubles with each further one.
        public var shortestPause: Duration = .milliseconds(200)
        public var longestPause: Duration = .seconds(60)

        public init(maximum: Int) { self.maximum = maximum }
    }

    /// What is to be done so that as many stand as should.
    public struct Change: Sendable, Hashable {
        public var start: Int
        public var end: Int
        public init(start: Int = 0, end: Int = 0) {
            self.start = start
            self.end = end
        }
    }

    /// Leases that are remembered, at most; more in one burst than `maximum` tell nothing more.
    static let rememberedLeases = 512

    public let rules: Rules
    /// Whether any may stand, by the conditions heard last.
    public private(set) var isOpen = false
    private var leases: [Timestamp] = []
    private var losses = 0
    private var restUntil: Timestamp?

    public init(rules: Rules) { self.rules = rules }

    /// A lease wanted an executor, whether one stood ready or not.
    public mutating func onLease(now: Timestamp) {
        // The clock may have been set back: what lies ahead is no memory.
        leases.removeAll { now - $0 > rules.memory || $0 > now }
        if leases.count == Self.rememberedLeases { leases.removeFirst() }
        leases.append(now)
    }

    /// One that was started stands ready: starting works.
    public mutating func onReady() {
        losses = 0
        restUntil = nil
    }

    /// One died unasked, or could not be started: the next is not tried at once. Those that are lost before it is tried are
    /// no further failure: all that stand may be killed together.
    public mutating func onLost(now: Timestamp) {
        guard !isResting(at: now) else { return }
        let doubled = rules.shortestPause * Double(1 << min(losses, 20))
        losses += 1
        restUntil = now + min(doubled, rules.longestPause)
    }

    private func isResting(at now: Timestamp) -> Bool {
        guard let restUntil else { return false }
        // The clock may have been set back.
        return now < restUntil && restUntil - now <= rules.longestPause
    }

    /// How the node is, told about once a second.
    /// - Parameters:
    ///   - mayLend: whether a lease could run here now, or does.
    ///   - memoryPressurePercent: PSI's "some" over ten seconds; nil where the kernel does not tell.
    public mutating func onConditions(mayLend: Bool, memoryPressurePercent: Double?) {
        isOpen = mayLend && (memoryPressurePercent ?? 0) < rules.pressurePercent
    }

    /// How many should stand ready.
    public func target(at now: Timestamp) -> Int {
        guard isOpen, rules.maximum > 0 else { return 0 }
        let remembered = leases.filter { now - $0 <= rules.memory && $0 <= now }
        var most = 0
        var first = 0
        for (last, lease) in remembered.enumerated() {
            while lease - remembered[first] > rules.burst { first += 1 }
            most = max(most, last - first + 1)
        }
        return min(most, rules.maximum)
    }

    /// What to do now.
    /// - Parameter standing: how many stand ready or are being started, for no lease yet.
    public func change(standing: Int, now: Timestamp) -> Change {
        let target = target(at: now)
        if standing > target { return Change(end: standing - target) }
        if isResting(at: now) { return Change() }
        return Change(start: target - standing)
    }
}
