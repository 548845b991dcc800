public import FallowModel

/// What the node knows of one job.
public struct JobOnNode: Sendable {
    public let jobID: JobID
    public var user: UserID
    /// What it holds; all of the node's where neither the plugin nor Slurm could tell.
    public internal(set) var cores = AbstractCoreSet()
    public internal(set) var memory = ByteCount.zero
    /// Whether `cores` and `memory` were told, or are the guess "all": of a guess nothing is lent.
    var coresAreKnown = false
    var memoryIsKnown = false
    /// Cores of the last step, if it was given fewer than the job's: nothing is lent beneath its tasks.
    var stepCores = AbstractCoreSet()
    public var serverless: ServerlessRequest?
    /// Suspended by Slurm: it holds what it holds, and nothing of it is lent.
    public var suspended = false
    /// When the plugin last spoke of it; nil when only Slurm did.
    public var reportedAt: Timestamp?
    public var firstSeenAt: Timestamp
    var use: UseWindow
    /// As last sampled; outlives the window's restarts.
    var latestMemory = ByteCount.zero

    init(jobID: JobID, user: UserID, at: Timestamp, window: Duration) {
        self.jobID = jobID
        self.user = user
        firstSeenAt = at
        use = UseWindow(span: window)
    }

    /// Takes down what the job holds; an empty set, no memory, or nil mean that it is unknown, and then it may be everything.
    mutating func hold(_ cores: AbstractCoreSet?, _ memory: ByteCount, of rules: NodeRules, allCores: AbstractCoreSet) {
        coresAreKnown = cores?.isEmpty == false
        self.cores = coresAreKnown ? cores ?? allCores : allCores
        memoryIsKnown = memory > .zero
        self.memory = memoryIsKnown ? min(memory, rules.memory) : rules.memory
    }

    /// How many of the job's cores may be lent at `now`. Zero unless the job said `--serverless`.
    func lendableCoreCount(at now: Timestamp, keepCores: Int) -> Int {
        guard coresAreKnown else { return 0 }
        switch serverless {
        case nil, .no: return 0
        case .auto: return measuredUnusedCores(at: now, keepCores: keepCores)
        case .explicit(let promised, _, _):
            return max(0, min(cores.count, promised ?? measuredUnusedCores(at: now, keepCores: keepCores)))
        }
    }

    private func measuredUnusedCores(at now: Timestamp, keepCores: Int) -> Int {
        guard use.isComplete(at: now), use.peakCores < Double(cores.count) else { return 0 }
        // CPU time and the clock are not read in one moment: one busy core may be measured as 1.02.
        let used = max(0, use.peakCores - 0.05)
        // Not `rounded(.up)`: optimized, it calls libm, which a module without Glibc does not link.
        let busy = Int(used) + (used > Double(Int(used)) ? 1 : 0)
        return max(0, cores.count - max(keepCores, busy))
    }

    /// Which cores those are: the highest ids that no narrower step has, since Slurm hands out tasks from the lowest.
    func lendableCores(at now: Timestamp, keepCores: Int) -> AbstractCoreSet {
        let count = lendableCoreCount(at: now, keepCores: keepCores)
        guard count > 0 else { return AbstractCoreSet() }
        return AbstractCoreSet(Array(cores.subtracting(stepCores)).suffix(count))
    }

    /// How much of the job's memory may be lent at `now`.
    ///
    /// What the job was seen to use is never lent, not even when it was promised.
    func lendableMemory(at now: Timestamp, headroomPercent: Int, headroom: ByteCount) -> ByteCount {
        guard memoryIsKnown else { return .zero }
        let peak = max(use.peakMemory, latestMemory)
        func unused(above: Int64) -> ByteCount { ByteCount(max(0, memory.bytes - peak.bytes - max(0, above))) }
        func amount(_ reserve: ServerlessRequest.Reserve) -> Int64 {
            switch reserve {
            case .amount(let amount): min(amount.bytes, memory.bytes)
            case .percent(let percent): memory.bytes / 100 * Int64(min(max(percent, 0), 100))
            }
        }
        switch serverless {
        case nil, .no: return .zero
        case .explicit(_, let promised?, let reserve):
            return max(.zero, min(promised, unused(above: reserve.map(amount) ?? 0)))
        case .auto, .explicit(_, nil, nil):
            guard use.isComplete(at: now) else { return .zero }
            return unused(above: max(peak.bytes / 100 * Int64(headroomPercent), headroom.bytes))
        case .explicit(_, nil, let reserve?):
            guard use.isComplete(at: now) else { return .zero }
            return unused(above: amount(reserve))
        }
    }
}
