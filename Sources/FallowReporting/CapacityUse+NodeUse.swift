internal import FallowModel
public import FallowWire

extension CapacityUse {
    /// A node's part of a report.
    ///
    /// - Parameter seconds: how much of the report's time the node is known for; what is neither watched nor down of it is
    ///   unwatched.
    public init(_ use: NodeUse, cores: Int, seconds: Double) {
        self.init(use, knownCoreSeconds: Double(cores) * seconds)
    }

    /// The same of several nodes together.
    ///
    /// - Parameter knownCoreSeconds: each node's cores × how long it is known of the time.
    public init(_ use: NodeUse, knownCoreSeconds: Double) {
        self.init()
        let (capacity, allocated) = (use.coreSeconds(.capacity), use.coreSeconds(.allocated))
        downCoreSeconds = use.coreSeconds(.down)
        unwatchedCoreSeconds = max(0, knownCoreSeconds - capacity - downCoreSeconds)
        // The cores are those of now; a node that had more is counted as it was watched.
        coreSeconds = capacity + downCoreSeconds + unwatchedCoreSeconds
        // Two clocks are read one after the other: a job may have used a hair more than it held.
        usedCoreSeconds = min(use.coreSeconds(.used), capacity)
        unusedCoreSeconds = max(0, min(allocated, capacity) - usedCoreSeconds)
        unallocatedCoreSeconds = max(0, capacity - usedCoreSeconds - unusedCoreSeconds)
        lentCoreSeconds = use.coreSeconds(.lent)
        recoveredCoreSeconds = use.coreSeconds(.recovered)
        byteSeconds = use.byteSeconds(.memoryCapacity)
        usedByteSeconds = min(use.byteSeconds(.memoryUsed), byteSeconds)
        unusedByteSeconds = max(0, min(use.byteSeconds(.memoryAllocated), byteSeconds) - usedByteSeconds)
        unallocatedByteSeconds = max(0, byteSeconds - usedByteSeconds - unusedByteSeconds)
        lentByteSeconds = use.byteSeconds(.memoryLent)
    }

    public static func += (a: inout CapacityUse, b: CapacityUse) {
        a.coreSeconds += b.coreSeconds
        a.usedCoreSeconds += b.usedCoreSeconds
        a.unusedCoreSeconds += b.unusedCoreSeconds
        a.unallocatedCoreSeconds += b.unallocatedCoreSeconds
        a.downCoreSeconds += b.downCoreSeconds
        a.unwatchedCoreSeconds += b.unwatchedCoreSeconds
        a.lentCoreSeconds += b.lentCoreSeconds
        a.recoveredCoreSeconds += b.recoveredCoreSeconds
        a.byteSeconds += b.byteSeconds
        a.usedByteSeconds += b.usedByteSeconds
        a.unusedByteSeconds += b.unusedByteSeconds
        a.unallocatedByteSeconds += b.unallocatedByteSeconds
        a.lentByteSeconds += b.lentByteSeconds
    }

    /// What could be used better: everything but what jobs used.
    public var leftCoreSeconds: Double { coreSeconds - usedCoreSeconds }
}

extension CapacityReport.Gaps {
    /// Nil when no gap was counted.
    public init?(_ tally: Tally) {
        guard let median = tally.quantile(0.5), let p90 = tally.quantile(0.9), let term = tally.fittingTerm() else {
            return nil
        }
        self.init(count: Int(tally.count), medianSeconds: median, p90Seconds: p90, fittingTermSeconds: term)
    }
}
