internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowTransport
internal import FallowWire
internal import Glibc
internal import Logging
internal import TransportShm

extension NodeShell {
    /// Open files of a donor: it needs few.
    static let donorOpenFiles = 64

    /// Obeys a grant for memory, once: takes its place in the grant's pool, has a donor started, and waits until all of its
    /// memory is there. As `open`.
    ///
    /// - Parameters:
    ///   - local: whether the borrower is on this node, and is handed the memory file; else the donor listens.
    ///   - identity: whom donors run as.
    func openDonor(
        _ grant: Grant, local: Bool, identity: UserIdentity,
        ready: @escaping (Result<ExecutorReport, WireError>) -> Void
    ) {
        do throws(WireError) {
            guard identity.uid != .root else { throw WireError(.refused, "donors never run as root; see donor.user") }
            if let complaint = grant.demand.donorComplaint { throw WireError(.invalid, complaint) }
            let now = now
            try checkGrant(grant, at: now)
            let placement: Placement
            do {
                placement = try policy.openMemory(
                    grant.leaseID, user: grant.user, memory: grant.demand.footprint, pool: grant.pool,
                    termEnds: grant.termEnds, now: now)
            } catch {
                refused(grant, at: now, "\(error)")
                throw WireError(.noCapacity, "\(name): \(error)")
            }
            let start = LeaseStart(
                grant: grant, placement: placement,
                geometry: ArenaGeometry(slotCount: 1, inputBytes: 0, outputBytes: 0),
                identity: identity, library: -1, transport: local ? .shm : .stream, ready: ready)
            start.hurry = tree.hurry()
            starting[grant.leaseID] = start
            findExecutor(for: start)
        } catch { ready(.failure(error)) }
    }

    /// Limits a donor's cgroup to the lease, and tells it what to hold and whom to become.
    func assignDonor(_ start: LeaseStart, to one: ParkedExecutor) throws -> RunningExecutor {
        let grant = start.grant
        try tree.limit(
            one.cgroup,
            to: LeaseLimits(
                cpuQuotaCores: 1, memory: grant.demand.footprint, processes: settings.executorProcesses))
        let memory = try DonorMemory(capacityBytes: Int(grant.demand.memory.bytes))
        let rdma = start.transport == .shm ? nil : rdma
        let assignment = DonorAssignment(
            leaseID: grant.leaseID, secret: grant.secret, capacityBytes: memory.capacityBytes,
            hugePages: settings.donorHugePages == .auto, transport: start.transport,
            bindAddress: start.transport == .shm ? nil : settings.dataAddress, verbsAddress: rdma?.address,
            entry: ExecutorEntry(
                uid: start.identity.uid, gid: start.identity.gid, groups: [start.identity.gid],
                name: start.identity.name, home: "/", cgroups: one.cgroup.membership,
                devices: rdma?.deviceFiles ?? [], openFiles: Self.donorOpenFiles, fileSize: nil,
                unlimitedLockedMemory: rdma != nil))
        try one.tell(encodeJSON(assignment), [memory.descriptor])
        start.note("assigned")
        return RunningExecutor(start, in: one, donor: memory, startedAt: now)
    }

    /// Takes a dead donor's memory back, off the loop; its place is free when that is done and verified.
    func takeBack(_ memory: DonorMemory, of executor: RunningExecutor) {
        let id = executor.leaseID
        dying[id] = executor
        donorReturn.take(memory, on: loop) { [weak self] outcome in
            guard let self else { return }
            if let complaint = outcome.complaint {
                // Its place stays taken: lent memory that is not there would be the owner's loss.
                log.critical("a donor's memory is not back", metadata: ["lease": "\(id)", "why": "\(complaint)"])
            } else {
                policy.reclaimed(id)
                log.debug(
                    "a donor's memory is back",
                    metadata: ["lease": "\(id)", "bytes": "\(outcome.bytes)", "us": "\(outcome.microseconds)"])
            }
            bury(executor)
            onChange()
        }
    }
}
