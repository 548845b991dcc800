internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import TransportShm

/// The process of one lease, an executor or a donor, with everything of ours that belongs to it. Confined to the event loop's thread.
final class RunningExecutor {
    var grant: Grant
    let placement: Placement
    let cgroup: LeaseCgroup
    let process: ProcessHandle
    /// Our end of the executor's control socket: the lifeline. Closing it ends the executor.
    let control: LocalConnection
    /// With shm: the memory that client and executor share.
    let arena: ShmArena?
    /// With memory: what is lent.
    let donor: DonorMemory?
    let startedAt: Timestamp
    /// What the functions print: read and thrown away, but for the end of it.
    let output: OutputTail
    /// CPU time at the last look.
    var usedCPU: Duration = .zero
    /// Watches on the loop that end with the executor.
    var watches: [EventLoop.Token] = []
    /// It ended by itself because its clients left.
    var isLeaving = false
    /// It is its user now; what it does from here on is the library's doing.
    var hasEntered = false
    /// A descriptor of what client and process share, not to be closed; -1 over a network.
    var shared: Int32 { arena?.descriptor ?? donor?.descriptor ?? -1 }
    /// What it serves for, while somebody waits for its word: told once, when it serves or cannot.
    var opening: LeaseStart?

    var leaseID: LeaseID { grant.leaseID }

    init(
        _ opening: LeaseStart, in parked: ParkedExecutor, arena: ShmArena? = nil, donor: DonorMemory? = nil,
        startedAt: Timestamp
    ) {
        self.opening = opening
        grant = opening.grant
        placement = opening.placement
        cgroup = parked.cgroup
        process = parked.process
        control = parked.control
        output = parked.output
        hasEntered = parked.engagement?.hasEntered ?? false
        self.arena = arena
        self.donor = donor
        self.startedAt = startedAt
    }

    /// The lease as reports show it.
    var report: LeaseReport {
        LeaseReport(
            leaseID: grant.leaseID, kind: grant.demand.kind, user: grant.user, cores: placement.cores,
            // Of a donor what is lent, not what it needs besides.
            memory: donor == nil ? placement.memory : grant.demand.memory, startedAt: startedAt,
            termEnds: grant.termEnds,
            beneath: placement.coresBeneath ?? placement.memoryBeneath, usedCoreSeconds: usedCPU.inSeconds,
            libraryName: grant.demand.libraryName)
    }
}
