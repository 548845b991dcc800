internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Logging

/// The memory that this node's jobs borrow: carries out what `BorrowedMemory` says, and holds the leases that wait. Confined to the
/// event loop's thread.
///
/// Nothing here can hold up a job: askings run beside the loop, and whatever they come to, the job runs.
final class JobMemory {
    /// A program that wants what waits for its job.
    struct Adopter {
        var jobID: JobID
        var wanted: ByteCount?
        var wait: Duration
        var mayAsk = true
        var then: (Result<Adopted, WireError>) -> Void
    }
    /// What a program took; the descriptors are the receiver's.
    struct Adopted {
        var leases: [LeaseBroker.Opened]
        var isDurable: Bool
    }

    let broker: LeaseBroker
    let loop: EventLoop
    let log: Logger
    private let file: JobMemoryFile
    var policy: BorrowedMemory
    /// Which processes are whose, of the jobs that borrow.
    private var members: [JobID: JobMembership] = [:]
    /// Leases that wait.
    var waiting: [LeaseID: LeaseBroker.Opened] = [:]
    /// Of those that a program took: where they are, for their renewal.
    var taken: [LeaseID: (agentURL: String, isLocal: Bool)] = [:]
    var adopters: [Adopter] = []
    /// Jobs of an earlier agent of this node, until Slurm's view shows that they run.
    private var remembered: [JobMemoryFile.Entry]
    private var rememberedUntil: ContinuousClock.Instant
    /// Why a lease ended before it was known here, if it did.
    var earlyEnd: (LeaseID) -> LeaseEnd? = { _ in nil }

    init(broker: LeaseBroker, loop: EventLoop, log: Logger) {
        self.broker = broker
        self.loop = loop
        self.log = log
        policy = BorrowedMemory(donorSize: broker.settings.donorSize)
        file = JobMemoryFile(path: broker.settings.runtimeDirectory + "/borrowing.json")
        remembered = file.read()
        rememberedUntil = .now + .seconds(120)
    }

    // MARK: What the node hears of its jobs

    /// A record of the plugin's about a step.
    func on(_ record: ReportRecord) {
        let jobID = record.step.jobID
        switch record.kind {
        case .stepStart:
            guard let wish = record.borrows else { break }
            carryOut(policy.onStep(jobID, user: record.step.user, wish))
            runs(record)
        case .stepRunning: if policy.borrows(jobID) { runs(record) }
        case .stepEnd:
            guard members[jobID] != nil else { break }
            members[jobID]?.stepEnded(stepd: record.stepdPID)
            save()
        case .jobEnd:
            carryOut(policy.onJobEnd(jobID))
            clean()
        case .hello: break
        }
    }

    private func runs(_ record: ReportRecord) {
        members[record.step.jobID, default: JobMembership()].stepRuns(
            stepd: record.stepdPID, cgroupText: record.cgroup, job: record.step.jobID)
        save()
    }

    /// Once a second.
    func tick(jobs: [JobID: JobOnNode], now: Timestamp) {
        recall(jobs)
        carryOut(policy.onTick(running: jobs.mapValues(\.user), now: now))
        clean()
    }

    /// What `FALLOW_REMOTE_MEM_GRANTED` says.
    func sentence(for jobID: JobID) -> String? { policy.sentence(for: jobID) }

    /// An earlier agent's jobs that run still: what they had went with that agent, and is asked for anew.
    private func recall(_ jobs: [JobID: JobOnNode]) {
        guard !remembered.isEmpty else { return }
        for entry in remembered where jobs[entry.jobID]?.user == entry.user {
            members[entry.jobID, default: JobMembership()] = JobMembership(
                stepds: entry.stepds.union(members[entry.jobID]?.stepds ?? []),
                folders: entry.folders.union(members[entry.jobID]?.folders ?? []))
            carryOut(policy.onStep(entry.jobID, user: entry.user, entry.wish))
        }
        remembered.removeAll { policy.borrows($0.jobID) }
        if ContinuousClock.now > rememberedUntil { remembered = [] }
        save()
    }

    // MARK: Adopting

    /// The job that borrows and that a process is of, if any.
    func job(of peer: PeerCredentials) -> JobID? {
        policy.wishes.first { jobID, borrower in
            borrower.user == peer.uid && members[jobID]?.holds(peer.pid) == true
        }?.key
    }

    /// Hands a program what waits for its job. `then` is called on the loop, once, within the bounds of an asking.
    func adopt(
        for peer: PeerCredentials, wanted: ByteCount?, wait: Duration,
        then: @escaping (Result<Adopted, WireError>) -> Void
    ) {
        guard let jobID = job(of: peer) else {
            return then(
                .failure(
                    WireError(
                        .refused,
                        "process \(peer.pid) of uid \(peer.uid) is in no job of node \(broker.name) that said --remote-mem"
                    )))
        }
        decide(Adopter(jobID: jobID, wanted: wanted, wait: wait, then: then))
    }

    func decide(_ adopter: Adopter) {
        let (adoption, directives) = policy.onAdoption(
            by: adopter.jobID, wanted: adopter.wanted, wait: adopter.wait, mayAsk: adopter.mayAsk)
        switch adoption {
        case .take(let ids, let isDurable):
            let leases = ids.compactMap { waiting.removeValue(forKey: $0) }
            for lease in leases { taken[lease.lease.leaseID] = (lease.agentURL, lease.isLocal) }
            renew(ids)
            adopter.then(.success(Adopted(leases: leases, isDurable: isDurable)))
        case .wait:
            var adopter = adopter
            if !directives.isEmpty { adopter.mayAsk = false }
            adopters.append(adopter)
        case .refuse(let why): adopter.then(.failure(WireError(.noCapacity, why)))
        }
        carryOut(directives)
    }

    /// Forgets what belongs to jobs that are over.
    private func clean() {
        let before = members.count
        members = members.filter { policy.borrows($0.key) }
        // Their job ended while they waited.
        let orphans = adopters.filter { !policy.borrows($0.jobID) }
        adopters.removeAll { !policy.borrows($0.jobID) }
        for orphan in orphans { decide(orphan) }
        if members.count != before { save() }
    }

    private func save() {
        file.write(
            remembered
                + policy.wishes.map { jobID, borrower in
                    JobMemoryFile.Entry(
                        jobID: jobID, user: borrower.user, wish: borrower.wish,
                        stepds: members[jobID]?.stepds ?? [], folders: members[jobID]?.folders ?? [])
                })
    }
}
