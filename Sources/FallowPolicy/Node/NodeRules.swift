public import FallowModel
public import FallowWire

/// What the site decided for a node.
public struct NodeRules: Sendable {
    /// Slurm's abstract core ids of the node: 0 ..< cores.
    public var cores: Int
    /// Slurm's RealMemory.
    public var memory: ByteCount
    public var switches: LendingSwitches
    /// How long a job is watched before anything of it is lent by measurement.
    public var window: Duration
    /// Cores that `auto` always leaves to a job.
    public var keepCores: Int
    public var memoryHeadroomPercent: Int
    public var memoryHeadroom: ByteCount
    /// Of memory that no job holds, what is never lent, so that a job that starts need not wait for what is taken back; nil:
    /// a twentieth of the node's, at least 1 GiB.
    public var headroomOfUnallocated: ByteCount?
    /// Core ids are only counted, nothing is pinned: virtual nodes. Otherwise a mapping has to be proven first.
    public var coresAreLogical: Bool
    /// Slurm's view must be younger than this, or nothing is lent.
    public var viewMaximumAge: Duration
    /// How much the clocks of this node and of fallowctld's may differ, and how long Slurm's view may lag behind the plugin.
    public var clockMargin: Duration = .seconds(5)

    public init(
        cores: Int, memory: ByteCount, switches: LendingSwitches = LendingSwitches(), window: Duration = .seconds(60),
        keepCores: Int = 1, memoryHeadroomPercent: Int = 10, memoryHeadroom: ByteCount = .gibibytes(1),
        headroomOfUnallocated: ByteCount? = .zero, coresAreLogical: Bool = false,
        viewMaximumAge: Duration = .seconds(30)
    ) {
        self.cores = max(0, min(cores, Self.coresMaximum))
        self.memory = memory
        self.switches = switches
        self.window = window
        self.keepCores = keepCores
        self.memoryHeadroomPercent = memoryHeadroomPercent
        self.memoryHeadroom = memoryHeadroom
        self.headroomOfUnallocated = headroomOfUnallocated
        self.coresAreLogical = coresAreLogical
        self.viewMaximumAge = viewMaximumAge
    }

    /// The same as an amount.
    public var unallocatedHeadroom: ByteCount {
        headroomOfUnallocated ?? max(ByteCount(memory.bytes / 20), .gibibytes(1))
    }

    /// More cores than this no node has here: the largest set that there is.
    static let coresMaximum = AbstractCoreSet.largestNumber + 1

    /// Every core of the node.
    public var allCores: AbstractCoreSet { AbstractCoreSet(0..<max(0, min(cores, Self.coresMaximum))) }
}

/// What the policy wants done.
public struct Revocation: Hashable, Sendable {
    public var leaseID: LeaseID
    public var reason: LeaseEnd
    public init(_ leaseID: LeaseID, _ reason: LeaseEnd) {
        self.leaseID = leaseID
        self.reason = reason
    }
}

/// Where a lease stands on the node.
public struct Placement: Hashable, Sendable {
    public var cores: AbstractCoreSet
    public var memory: ByteCount
    /// Whose unused cores these are; nil: nobody's.
    public var coresBeneath: JobID?
    /// Whose unused memory this is; nil: nobody's.
    public var memoryBeneath: JobID?
    public init(cores: AbstractCoreSet, memory: ByteCount, coresBeneath: JobID? = nil, memoryBeneath: JobID? = nil) {
        self.cores = cores
        self.memory = memory
        self.coresBeneath = coresBeneath
        self.memoryBeneath = memoryBeneath
    }

    /// Whose resources it stands in; nil in it: nobody's. A donor has no cores, so theirs do not count.
    var pools: [JobID?] { cores.isEmpty && memory > .zero ? [memoryBeneath] : [coresBeneath, memoryBeneath] }
}

/// Why a lease cannot stand on the node now, in one sentence.
public struct NoRoom: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}
