internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import TransportShm

/// The process of one lease, with everything of ours that belongs to it. Confined to the event loop's thread.
final class RunningExecutor {
    var grant: Grant
    let placement: Placement
    let cgroup: LeaseCgroup
    let process: ProcessHandle
    /// Our end of the executor's control socket: the lifeline. Closing it ends the executor.
    let control: LocalConnection
    /// With shm: the memory that client and executor share.
    let arena: ShmArena?
    let startedAt: Timestamp
    /// What the functions print: read and thrown away, but for the end of it.
    let output: OutputTail
    /// CPU time at the last look.
    var usedCPU: Duration = .zero
    /// Watches on the loop that end with the executor.
    var watches: [EventLoop.Token] = []
    /// It ended by itself because its clients left.
    var isLeaving = false
    /// Told once, when the executor serves or cannot.
    var onReady: ((Result<ExecutorReport, WireError>) -> Void)?

    var leaseID: LeaseID { grant.leaseID }

    init(
        grant: Grant, placement: Placement, cgroup: LeaseCgroup, process: ProcessHandle, control: LocalConnection,
        arena: ShmArena?, startedAt: Timestamp, output: OutputTail
    ) {
        self.grant = grant
        self.placement = placement
        self.cgroup = cgroup
        self.process = process
        self.control = control
        self.arena = arena
        self.startedAt = startedAt
        self.output = output
    }

    /// The lease as reports show it.
    var report: LeaseReport {
        LeaseReport(
            leaseID: grant.leaseID, user: grant.user, cores: placement.cores, memory: placement.memory,
            startedAt: startedAt, termEnds: grant.termEnds, beneath: placement.coresBeneath ?? placement.memoryBeneath,
            usedCoreSeconds: usedCPU.inSeconds, libraryName: grant.demand.libraryName)
    }
}
