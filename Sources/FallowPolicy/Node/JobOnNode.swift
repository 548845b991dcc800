public import FallowModel

/// What the node knows of one job.
public struct JobOnNode: Sendable {
    public let jobID: JobID
    public var user: UserID
    public var cores: AbstractCoreSet
    public var memory: ByteCount
    public var serverless: ServerlessRequest?
    /// Suspended by Slurm: it holds what it holds, and nothing of it is lent.
    public var suspended = false
    /// When the plugin last spoke of it; nil when only Slurm did.
    public var reportedAt: Timestamp?
    public var firstSeenAt: Timestamp
    var use: UseWindow

    init(jobID: JobID, user: UserID, cores: AbstractCoreSet, memory: ByteCount, at: Timestamp, window: Duration) {
        self.jobID = jobID
        self.user = user
        self.cores = cores
        self.memory = memory
        firstSeenAt = at
        use = UseWindow(span: window)
    }

    /// How many of the job's cores may be lent at `now`. Zero unless the job said `--serverless`.
    func lendableCoreCount(at now: Timestamp, keepCores: Int) -> Int {
        let measured =
            use.isComplete(at: now)
            ? max(0, cores.count - max(keepCores, Int(use.peakCores.rounded(.up)))) : 0
        switch serverless {
        case nil, .no: return 0
        case .auto: return measured
        case .explicit(let promised, _, _): return min(cores.count, promised ?? measured)
        }
    }

    /// Which cores those are: the highest ids, since Slurm hands out tasks from the lowest.
    func lendableCores(at now: Timestamp, keepCores: Int) -> AbstractCoreSet {
        AbstractCoreSet(Array(cores).suffix(lendableCoreCount(at: now, keepCores: keepCores)))
    }

    /// How much of the job's memory may be lent at `now`.
    func lendableMemory(at now: Timestamp, headroomPercent: Int, headroom: ByteCount) -> ByteCount {
        func measured(_ reserve: ServerlessRequest.Reserve?) -> ByteCount {
            guard use.isComplete(at: now) else { return .zero }
            let peak = use.peakMemory.bytes
            let above: Int64
            switch reserve {
            case .amount(let amount): above = amount.bytes
            case .percent(let percent): above = memory.bytes / 100 * Int64(percent)
            case nil: above = max(peak / 100 * Int64(headroomPercent), headroom.bytes)
            }
            return ByteCount(max(0, memory.bytes - peak - above))
        }
        switch serverless {
        case nil, .no: return .zero
        case .auto: return measured(nil)
        case .explicit(_, let promised, let reserve):
            return promised.map { ByteCount(min($0.bytes, memory.bytes)) } ?? measured(reserve)
        }
    }
}
