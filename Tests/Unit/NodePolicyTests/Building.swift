import FallowModel
import FallowPolicy
import FallowWire

/// Seconds after an arbitrary moment.
func at(_ seconds: Double) -> Timestamp { Timestamp(secondsSinceEpoch: 1_000_000 + seconds) }

func cores(_ list: String) -> AbstractCoreSet { AbstractCoreSet(parsing: list)! }
func cpus(_ list: String) -> MachineCPUSet { MachineCPUSet(parsing: list)! }
func gib(_ count: Int64) -> ByteCount { .gibibytes(count) }

/// A view of an 8-core, 64-GiB node.
func slurmView(
    at seconds: Double, _ jobs: [SlurmJobView] = [], cores: Int = 8, memory: ByteCount = gib(64), mayLend: Bool = true
) -> SlurmNodeView {
    SlurmNodeView(
        at: at(seconds), state: mayLend ? "MIXED" : "MIXED+DRAIN", mayLend: mayLend, cores: cores, memory: memory,
        jobs: jobs)
}

func seenBySlurm(
    _ id: UInt32, _ list: String, _ memory: ByteCount = gib(8), state: String = "RUNNING", started: Double? = nil,
    user: UInt32 = 1000
) -> SlurmJobView {
    SlurmJobView(
        jobID: JobID(id), user: UserID(user), cores: cores(list), memory: memory, state: state,
        startedAt: started.map { at($0) }, expectedEnd: nil, exclusive: false, nodeCount: 1)
}

func step(
    _ id: UInt32, _ list: String?, _ memory: ByteCount = gib(8), _ serverless: ServerlessRequest? = nil,
    step: StepID = StepID(0), of stepCores: String? = nil, user: UInt32 = 1000
) -> StepStart {
    StepStart(
        jobID: JobID(id), stepID: step, user: UserID(user), jobCores: list.map { cores($0) },
        stepCores: stepCores.map { cores($0) }, memory: memory, serverless: serverless)
}

/// An 8-core, 64-GiB node that lends everything it may, with a window of 10 s; its view was heard at 0.
func node(
    unallocated: Bool = true, lent: Bool = true, logical: Bool = true, window: Duration = .seconds(10),
    heard: Bool = true
) -> NodePolicy {
    var policy = NodePolicy(
        rules: NodeRules(
            cores: 8, memory: gib(64), switches: LendingSwitches(unallocated: unallocated, lent: lent), window: window,
            coresAreLogical: logical))
    if heard { _ = policy.onSlurmView(slurmView(at: 0), now: at(0)) }
    return policy
}

func promise(_ cores: Int?, _ memory: ByteCount? = nil, _ reserve: ServerlessRequest.Reserve? = nil)
    -> ServerlessRequest
{
    .explicit(cores: cores, memory: memory, reserve: reserve)
}

extension NodePolicy {
    /// Opens a lease with a term of an hour and a user that nobody asks for.
    @discardableResult
    mutating func lease(
        _ id: UInt64, _ cores: Int, _ memory: ByteCount = .zero, _ seconds: Double = 0, term: Double = 3600
    ) throws -> Placement {
        try open(
            LeaseID(id), user: UserID(2000), cores: cores, memory: memory, termEnds: at(seconds + term),
            now: at(seconds))
    }

    /// Samples a job once a second over `from...to`, as using `busy` cores and `memory`.
    mutating func watch(_ id: UInt32, _ from: Int, _ to: Int, busy: Double = 0, memory: ByteCount = .zero) -> [LeaseID]
    {
        (from...to).flatMap { second in
            onSample(JobID(id), cpuSeconds: 100 + Double(second) * busy, memory: memory, now: at(Double(second)))
        }.map(\.leaseID)
    }

    func lendsCores(of id: UInt32, _ seconds: Double) -> Int { lending(of: JobID(id), at: at(seconds)).cores }
    func lendsMemory(of id: UInt32, _ seconds: Double) -> ByteCount { lending(of: JobID(id), at: at(seconds)).memory }
}

/// The ids of what has to go.
func ids(_ revocations: [Revocation]) -> [UInt64] { revocations.map(\.leaseID.number) }
