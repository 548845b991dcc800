/// How a region keeps what is written to it.
public enum Durability: Hashable, Sendable {
    /// One copy, at a donor: fast, and gone with the donor. Reads of what is gone fail until it is written again.
    case cache
    /// Two copies, at donors that share no fate: survives any one donor, and every donor in memory that no job holds at once.
    case pair
    /// A copy in a file of this process's, in the folder that is named, and one at a donor for speed. Survives every donor. It
    /// is the page cache of this node that holds the file until the kernel writes it: the region ends with its process anyway.
    case scratch(folder: String)
    /// `pair` where a second set of donors is to be had that shares no fate with the first; else `scratch`. What it became is the
    /// region's durability.
    case durable(folder: String)
}

/// What a region is to be.
public struct RegionOptions: Sendable {
    public var durability: Durability
    /// What lies together at one donor and is protected as a whole; a power of two from 4 KiB to 2 MiB. Blocks take turns at
    /// the donors.
    public var stripeBytes: Int
    /// A donor that has operations under way and completes none for so long is given up, however much it may be alive. Time
    /// in which this process looked at none, because it was stopped, say, does not count. nil: 2 s where there are other copies,
    /// and 8 s with `cache`, where giving up is losing.
    public var patience: Duration?

    public init(durability: Durability = .cache, stripeBytes: Int = 65536, patience: Duration? = nil) {
        self.durability = durability
        self.stripeBytes = stripeBytes
        self.patience = patience
    }
}

extension Durability {
    /// How long a donor may be silent where nothing else was said.
    var patience: Duration { self == .cache ? .seconds(8) : .seconds(2) }
}

/// What a region did and lost.
public struct RegionStatistics: Hashable, Sendable {
    public var reads = 0
    public var writes = 0
    public var readBytes = 0
    public var writtenBytes = 0
    public var donors = 0
    public var lostDonors = 0
    /// Bytes of blocks whose last copy went and that were not written since.
    public var lostBytes = 0
    /// Bytes of blocks that lack a copy just now: a second loss would take them.
    public var unprotectedBytes = 0
    /// Blocks that got a new copy after a donor was lost.
    public var protectedBlocks = 0
}
