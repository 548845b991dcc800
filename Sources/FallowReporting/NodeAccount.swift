public import FallowModel
public import FallowWire

/// One node's running account: turns an agent's cumulative reports into growth over time, and sees idle gaps end.
///
/// Reports that are lost or repeated cost nothing, and neither does a stop of whoever keeps the account: the next report
/// of the same agent holds all that grew meanwhile.
public struct NodeAccount: Sendable, Hashable {
    /// The agent's run that `total` belongs to.
    public var instance: UInt64
    public var instanceStartedAt: Timestamp
    /// When the latest report was taken.
    public var at: Timestamp
    public var cores: Int
    public var memory: ByteCount
    public var integrals: NodeIntegrals
    /// Since when no job held anything; nil: some job does.
    public var idleSince: Timestamp?
    /// Since when some core was held by no job; nil: jobs hold all.
    public var partlyIdleSince: Timestamp?

    public init(
        instance: UInt64, instanceStartedAt: Timestamp, at: Timestamp, cores: Int, memory: ByteCount,
        integrals: NodeIntegrals, idleSince: Timestamp? = nil, partlyIdleSince: Timestamp? = nil
    ) {
        self.instance = instance
        self.instanceStartedAt = instanceStartedAt
        self.at = at
        self.cores = cores
        self.memory = memory
        self.integrals = integrals
        self.idleSince = idleSince
        self.partlyIdleSince = partlyIdleSince
    }

    /// What a report adds.
    public struct Growth: Sendable, Hashable {
        public var use = NodeUse()
        /// The time over which it came together.
        public var from: Timestamp
        public var to: Timestamp
        /// Idle gaps that a job ended, and their length in seconds.
        public var endedGaps: [Gap] = []
        public init(use: NodeUse = NodeUse(), from: Timestamp, to: Timestamp) {
            self.use = use
            self.from = from
            self.to = to
        }
    }
    public enum Gap: Sendable, Hashable {
        /// No job held anything of the node.
        case node(seconds: Double)
        /// Some core was held by no job.
        case cores(seconds: Double)
    }

    /// Opens a node's account with its first report: all of that agent's run counts.
    public static func open(_ report: NodeReport, at now: Timestamp, isDown: Bool) -> (NodeAccount, Growth) {
        var account = NodeAccount(
            instance: report.instance, instanceStartedAt: report.instanceStartedAt,
            at: min(now, report.instanceStartedAt), cores: report.cores, memory: report.memory,
            integrals: NodeIntegrals())
        let growth = account.take(report, at: now, isDown: isDown) ?? Growth(from: now, to: now)
        return (account, growth)
    }

    /// Takes a report; nil when it says nothing new: repeated, late, or of an agent that is gone.
    ///
    /// - Parameter isDown: Slurm withholds the node. The time counts as down unless jobs hold something.
    public mutating func take(_ report: NodeReport, at now: Timestamp, isDown: Bool) -> Growth? {
        var before = NodeIntegrals()
        var from = at
        if report.instance == instance {
            guard report.integrals.elapsedSeconds >= integrals.elapsedSeconds else { return nil }
            before = integrals
        } else {
            guard report.instanceStartedAt >= instanceStartedAt else { return nil }
            // A new run counts from nothing, and not before it began.
            from = max(at, min(report.instanceStartedAt, now))
        }
        var use =
            (NodeUse(report.integrals, cores: report.cores, memory: report.memory)
            - NodeUse(before, cores: report.cores, memory: report.memory)).withoutFalls
        if isDown, use[.allocated] == 0 {
            use[.down] = use[.capacity]
            use[.capacity] = 0
            use[.memoryCapacity] = 0
        }
        var growth = Growth(use: use, from: min(from, now), to: now)
        growth.endedGaps = endGaps(report, now, isNewRun: report.instance != instance, isDown: isDown)
        instance = report.instance
        instanceStartedAt = report.instanceStartedAt
        at = now
        cores = report.cores
        memory = report.memory
        integrals = report.integrals
        return growth
    }

    /// A gap is whole only if it was watched from end to end on a node that jobs could have had: a new run of the agent or a
    /// node that is down drops it.
    private mutating func endGaps(
        _ report: NodeReport, _ now: Timestamp, isNewRun: Bool, isDown: Bool
    ) -> [Gap] {
        if isNewRun || isDown {
            idleSince = nil
            partlyIdleSince = nil
        }
        let running = report.jobs.filter { $0.endedAt == nil }
        let held = running.reduce(AbstractCoreSet()) { $0.union($1.cores) }.count
        let began = running.map(\.firstSeenAt).max().map { min($0, now) } ?? now
        var ended: [Gap] = []
        if held > 0, let since = idleSince, began > since { ended.append(.node(seconds: (began - since).inSeconds)) }
        if held >= report.cores, let since = partlyIdleSince, began > since {
            ended.append(.cores(seconds: (began - since).inSeconds))
        }
        let lastEnd = report.jobs.compactMap(\.endedAt).max().map { min($0, now) } ?? now
        idleSince = held > 0 || isDown ? nil : idleSince ?? (isNewRun ? now : lastEnd)
        partlyIdleSince = held >= report.cores || isDown ? nil : partlyIdleSince ?? (isNewRun ? now : lastEnd)
        return ended
    }
}
