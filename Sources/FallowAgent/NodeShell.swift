internal import CLinux
internal import FallowConfiguration
internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Logging

/// The node's state and the hands that carry out what the policy decides. Confined to the event loop's thread.
///
/// The policy is the truth about cores and memory; `executors` holds the processes that belong to its leases.
final class NodeShell {
    let settings: Settings
    let name: NodeName
    let loop: EventLoop
    let tree: CgroupTree
    let log: Logger
    var policy: NodePolicy
    var ledger = UseLedger()
    /// Executors that run, or have been told to.
    var executors: [LeaseID: RunningExecutor] = [:]
    /// Leases that have their place and no executor yet.
    var starting: [LeaseID: LeaseStart] = [:]
    /// Executors without a lease.
    let parking: ParkingLot
    /// Where donors are started; none stands ready, since most of a donor's start is its memory.
    let donors: ParkingLot
    let donorReturn = DonorReturn()
    /// Executors that were killed and whose exit has not been seen yet.
    var dying: [LeaseID: RunningExecutor] = [:]
    var sampler = JobSampler()
    var lastSampleAt: Timestamp?
    /// Jobs whose steps were looked for in /proc.
    var lookedFor: Set<JobID> = []
    var coreMap: CoreMap
    /// Grants are obeyed once: ids seen, until their `obeyBefore`.
    var obeyed: [LeaseID: Timestamp] = [:]
    /// What the co-scheduler has not confirmed yet.
    var outbox = ReportOutbox()
    /// What this node's jobs borrow; nil in a shell that serves no clients.
    var jobMemory: JobMemory?
    /// How executors are reached over RDMA; nil: they are not.
    var rdma: RDMAOffer?
    /// The build of the plugin that slurmstepd was seen to load; nil: no step has started yet.
    var plugin: String?
    /// The agent ends: nothing is granted any more.
    var isStopping = false
    /// Called when something happened that the co-scheduler should hear of soon.
    var onChange: () -> Void = {}
    /// Called with each lease that ended, whoever its client is.
    var onLeaseEnd: (RunningExecutor, LeaseEnd, String?) -> Void = { _, _, _ in }

    init(settings: Settings, name: NodeName, loop: EventLoop, tree: CgroupTree, topology: Topology, log: Logger) {
        self.settings = settings
        self.name = name
        self.loop = loop
        self.tree = tree
        self.log = log
        coreMap = CoreMap(cpusOfCores: topology.cpusOfCores)
        let cores = settings.nodeCores ?? topology.cpusOfCores.count
        let parked = settings.executorParked ?? (tree.birthsAreImmediate ? min(cores, Settings.parkedAtMost) : 0)
        log.info("executors stand ready for leases", metadata: ["most": "\(parked)"])
        parking = ParkingLot(
            birth: ExecutorBirth(tree: tree, executorPath: settings.executorPath),
            maximum: parked, loop: loop, log: log)
        donors = ParkingLot(
            birth: ExecutorBirth(tree: tree, executorPath: settings.donorPath), maximum: 0, loop: loop, log: log)
        policy = NodePolicy(
            rules: NodeRules(
                cores: cores,
                memory: settings.nodeMemory ?? topology.memory,
                switches: LendingSwitches(unallocated: settings.lendUnallocated, lent: settings.lendLent),
                window: settings.window, keepCores: settings.keepCores,
                memoryHeadroomPercent: settings.memoryHeadroomPercent, memoryHeadroom: settings.memoryHeadroom,
                headroomOfUnallocated: settings.unallocatedHeadroom,
                coresAreLogical: settings.coreMapping == .logical))
    }

    /// Wall-clock time.
    var now: Timestamp { .current() }

    /// Carries out what the policy wants.
    func carryOut(_ revocations: [Revocation]) {
        for (reason, group) in Dictionary(grouping: revocations, by: \.reason) {
            revoke(group.map(\.leaseID), reason)
        }
    }

    /// Once a second: terms, measurements, things that were stuck.
    func tick() {
        let now = now
        adoptSteps(now: now)
        sample(now: now)
        carryOut(policy.onTick(now: now))
        jobMemory?.tick(jobs: policy.jobs, now: now)
        tickParking(now: now)
        obeyed = obeyed.filter { $0.value > now }
        if !policy.withheld.isEmpty, dying.isEmpty {
            policy.releaseWithheld()
            log.notice("what was stuck is gone; its cores may be lent again")
        }
        removeBreakers()
    }

    /// Every lease, those included that have no executor yet.
    var leaseIDs: [LeaseID] { Array(executors.keys) + Array(starting.keys) }

    /// What has to come to its end before the agent does.
    var unfinished: Int {
        parking.birthCount + donors.birthCount + dying.values.count { $0.donor != nil }
    }

    private func tickParking(now: Timestamp) {
        // Where nothing is on offer and nothing leased, no lease can begin: the node is full, or not ours to lend.
        let mayLend =
            policy.standstill(at: now) == nil && (!policy.leases.isEmpty || policy.offer(at: now).cores > 0)
        parking.tick(
            mayLend: mayLend, memoryPressurePercent: Pressure.read()?.memory?.some.averageOver10sPercent)
    }

    /// The plugin's circuit breakers: a healthy agent removes them before it lends again.
    func removeBreakers() {
        for path in filesInDirectory(settings.runtimeDirectory) where path.hasPrefix("breaker.") {
            removeFile(settings.runtimeDirectory + "/" + path)
            log.warning("removed a circuit breaker that the plugin left", metadata: ["file": "\(path)"])
        }
    }
}

/// What happened since the last report that the co-scheduler answered; bounded, the oldest go first.
struct ReportOutbox {
    static let limit = 10_000
    private(set) var ended: [LeaseEnded] = []
    private(set) var reclaims: [ReclaimReport] = []

    mutating func add(_ event: LeaseEnded) {
        ended.append(event)
        if ended.count > Self.limit { ended.removeFirst() }
    }
    mutating func add(_ event: ReclaimReport) {
        reclaims.append(event)
        if reclaims.count > Self.limit { reclaims.removeFirst() }
    }
    /// The first so many of each were confirmed.
    mutating func confirm(ended endedCount: Int, reclaims reclaimCount: Int) {
        ended.removeFirst(min(endedCount, ended.count))
        reclaims.removeFirst(min(reclaimCount, reclaims.count))
    }
}
