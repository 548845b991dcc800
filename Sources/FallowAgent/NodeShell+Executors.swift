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
    /// Longest that an executor may take from its start to its word that it serves.
    static let readyTimeout: Duration = .seconds(20)

    /// Obeys a grant, once: finds room, takes an executor or has one started, hands it its assignment.
    ///
    /// - Parameters:
    ///   - library: a descriptor of the library, opened for reading; stays the caller's, to close after `ready`.
    ///   - local: whether the client is on this node, so that the transport is shm.
    ///   - identity: the user, looked up beforehand: a name service may take long, and this runs on the loop.
    ///   - ready: called on the loop, once: with the executor's word (no addresses with shm), or why there is none;
    ///     everything is cleaned up then.
    func open(
        _ grant: Grant, library: Int32, local: Bool, identity: UserIdentity,
        ready: @escaping (Result<ExecutorReport, WireError>) -> Void
    ) {
        do {
            let (placement, geometry) = try admit(grant, local: local)
            let start = LeaseStart(
                grant: grant, placement: placement, geometry: geometry, identity: identity, library: library,
                transport: local ? .shm : .fabric, ready: ready)
            starting[grant.leaseID] = start
            findExecutor(for: start)
        } catch { ready(.failure(error)) }
    }

    /// Checks a grant and takes its place on the node.
    private func admit(_ grant: Grant, local: Bool) throws(WireError) -> (Placement, ArenaGeometry) {
        let now = now
        try checkGrant(grant, at: now)
        let geometry = ArenaGeometry(
            slotCount: grant.demand.slotCount, inputBytes: grant.demand.inputBytes,
            outputBytes: grant.demand.outputBytes, bufferBytes: local ? grant.demand.bufferBytes ?? 0 : 0)
        if let complaint = geometry.complaint { throw WireError(.invalid, complaint) }
        do {
            let placement = try policy.open(
                grant.leaseID, user: grant.user, cores: grant.demand.cpus, memory: grant.demand.memory,
                termEnds: grant.termEnds, now: now)
            return (placement, geometry)
        } catch {
            refused(grant, at: now, "\(error)")
            throw WireError(.noCapacity, "\(name): \(error)")
        }
    }

    /// Whether a grant may be obeyed, which it may once.
    func checkGrant(_ grant: Grant, at now: Timestamp) throws(WireError) {
        guard grant.node == name else {
            throw WireError(.refused, "the grant is for node \(grant.node), this is \(name)")
        }
        guard !isStopping else { throw WireError(.unavailable, "\(name): \(Self.stopping)") }
        guard grant.obeyBefore > now else { throw WireError(.refused, "the grant is too old") }
        guard obeyed[grant.leaseID] == nil else { throw WireError(.conflict, "the grant was obeyed before") }
        guard grant.user != .root else { throw WireError(.refused, "root leases nothing") }
        obeyed[grant.leaseID] = grant.obeyBefore
        ledger.advance(to: now, as: policy)
    }

    /// Lets the co-scheduler know at once that a grant came to nothing, so that its capacity is free again.
    func refused(_ grant: Grant, at now: Timestamp, as reason: LeaseEnd = .withdrawn, _ why: String) {
        let lease = LeaseReport(
            leaseID: grant.leaseID, kind: grant.demand.kind, user: grant.user, cores: AbstractCoreSet(), memory: .zero,
            startedAt: now,
            termEnds: grant.termEnds, beneath: nil, usedCoreSeconds: 0, libraryName: grant.demand.libraryName)
        outbox.add(LeaseEnded(lease: lease, at: now, reason: reason, detail: why))
        onChange()
    }

    /// Takes or starts a process for a lease that has its place.
    func findExecutor(for start: LeaseStart) {
        start.executors += 1
        (start.isDonor ? donors : parking).take(start.transport, for: start.identity) { [weak self] found in
            self?.found(found, for: start)
        }
    }

    private func found(_ found: Result<ParkedExecutor, any Error>, for start: LeaseStart) {
        guard starting[start.grant.leaseID] === start else {
            // The lease ended while its executor was being started, which knows nothing of it.
            if case .success(let one) = found { (start.isDonor ? donors : parking).giveBack(one) }
            return
        }
        do {
            let one = try found.get()
            if start.executors == 1 { start.wasParked = one.wasParked }
            if !one.wasParked { start.executorsStarted += 1 }
            start.note("found")
            do {
                let executor = try start.isDonor ? assignDonor(start, to: one) : assign(start, to: one)
                starting[start.grant.leaseID] = nil
                executors[start.grant.leaseID] = executor
                try watch(executor)
                onChange()
            } catch {
                if executors[start.grant.leaseID] == nil { one.end() }
                throw error
            }
        } catch {
            if executors[start.grant.leaseID] != nil {
                revoke([start.grant.leaseID], .executorDied, detail: "\(error)")
            } else if case .success = found, start.mayTryAnother {
                findExecutor(for: start)
            } else {
                giveUp(start, error)
            }
        }
    }

    private func giveUp(_ start: LeaseStart, _ error: any Error) {
        log.error("no executor for a lease", metadata: ["lease": "\(start.grant.leaseID)", "error": "\(error)"])
        starting[start.grant.leaseID] = nil
        policy.close(start.grant.leaseID)
        refused(start.grant, at: now, "\(error)")
        start.finish(.failure((error as? WireError) ?? WireError(.internalError, "\(name): \(error)")))
    }

    /// Limits an executor's cgroup to the lease, and tells it what it is for and whom to become.
    private func assign(_ start: LeaseStart, to one: ParkedExecutor) throws -> RunningExecutor {
        let grant = start.grant
        let cpus = settings.coreMapping == .logical ? nil : coreMap.cpus(of: start.placement.cores)
        try tree.limit(
            one.cgroup,
            to: LeaseLimits(
                cpus: cpus, cpuQuotaCores: grant.demand.cpus, memory: grant.demand.memory,
                processes: settings.executorProcesses))
        let isLocal = start.transport == .shm
        let arena = isLocal ? try ShmArena.create(geometry: start.geometry, workers: grant.demand.cpus) : nil
        let rdma = isLocal ? nil : rdma
        let assignment = ExecutorAssignment(
            leaseID: grant.leaseID, secret: grant.secret, workers: grant.demand.cpus, cpus: cpus ?? MachineCPUSet(),
            transport: start.transport, bindAddress: isLocal ? nil : settings.dataAddress,
            verbsAddress: rdma?.address,
            slotCount: start.geometry.slotCount, inputBytes: start.geometry.inputBytes,
            outputBytes: start.geometry.outputBytes, libraryName: grant.demand.libraryName,
            pollMicroseconds: grant.demand.pollMicroseconds(allowed: Int(settings.executorPoll.nanoseconds / 1000)),
            pollPercent: settings.executorPollPercent,
            bufferBytes: start.geometry.bufferBytes == 0 ? nil : start.geometry.bufferBytes)
        if one.engagement == nil { try one.tell(.become(entry: entry(of: start.identity, in: one, rdma: rdma))) }
        try one.tell(
            .serve(assignment: assignment), descriptors: [start.library] + (arena.map { [$0.descriptor] } ?? []))
        start.note("assigned")
        if one.engagement?.hasEntered == true { start.note("entered") }
        return RunningExecutor(start, in: one, arena: arena, startedAt: now)
    }

    /// Whom an executor becomes, and within what.
    private func entry(of identity: UserIdentity, in one: ParkedExecutor, rdma: RDMAOffer?) -> ExecutorEntry {
        ExecutorEntry(
            uid: identity.uid, gid: identity.gid, groups: identity.groups, name: identity.name, home: identity.home,
            cgroups: one.cgroup.membership, devices: rdma?.deviceFiles ?? [], openFiles: settings.executorOpenFiles,
            // What is registered is pinned; the lease's cgroup bounds it.
            fileSize: settings.executorFileSize, unlimitedLockedMemory: rdma != nil)
    }

    /// A lease for a client on this node is being asked for: an executor that stands ready becomes its user meanwhile.
    ///
    /// - Parameter request: ends with `parking.endRequest`, whatever becomes of it.
    func engageExecutor(as identity: UserIdentity, for request: UInt64) {
        guard identity.uid != .root, !isStopping else { return }
        parking.engage(.shm, as: identity, for: request) { one in entry(of: identity, in: one, rdma: nil) }
    }

    private func watch(_ executor: RunningExecutor) throws(WireError) {
        let id = executor.leaseID
        do {
            executor.watches.append(
                try loop.watch(executor.control.descriptor, .readable) { [weak self] _ in self?.heard(id) })
            if executor.process.descriptor >= 0 {
                executor.watches.append(
                    try loop.watch(executor.process.descriptor, .readable) { [weak self] _ in self?.exited(id) })
            }
        } catch { throw WireError(.internalError, "\(error)") }
        executor.watches.append(
            loop.after(Self.readyTimeout) { [weak self] in
                guard let self, let executor = executors[id], let start = executor.opening else { return }
                executor.opening = nil
                revoke([id], .executorDied)
                start.finish(
                    .failure(
                        start.isDonor
                            ? WireError(.internalError, "\(name): a donor was not ready within \(Self.readyTimeout)")
                            : WireError(.libraryUnusable, "the library did not load within \(Self.readyTimeout)")))
            })
    }

    /// What the executor says: that it has entered its lease, that it serves or cannot; or the end of its control socket.
    private func heard(_ id: LeaseID) {
        guard let executor = executors[id] else { return }
        var buffer = [UInt8](repeating: 0, count: 16_384)
        let received = buffer.withUnsafeMutableBytes { bytes in try? executor.control.receive(into: bytes) }
        guard let received else { return }
        for descriptor in received.descriptors { Glibc.close(descriptor) }
        guard received.count > 0 else {
            // Its exit is seen a moment later and says more; one that only closed the socket is ended all the same.
            if let watch = executor.watches.first { loop.cancel(watch) }
            executor.watches.removeFirst()
            executor.watches.append(loop.after(.milliseconds(20)) { [weak self] in self?.exited(id) })
            return
        }
        guard let start = executor.opening else { return exited(id) }
        let report: ExecutorReport
        do {
            report = try decodeJSON(ExecutorReport.self, from: Array(buffer[..<received.count]))
        } catch {
            executor.opening = nil
            revoke([id], .executorDied)
            return start.finish(
                .failure(WireError(.internalError, "the executor's report makes no sense: \(error)")))
        }
        if report.isPrepared == true { return }
        start.microseconds.merge(report.microseconds ?? [:]) { $1 }
        if report.hasEntered == true {
            executor.hasEntered = true
            return start.note("entered")
        }
        if let error = report.error {
            if tryAnother(executor, start) { return }
            executor.opening = nil
            revoke([id], .executorDied)
            return start.finish(.failure(error))
        }
        executor.opening = nil
        guard executor.hasEntered else {
            // Of another version than this agent: it would run functions as root.
            revoke([id], .executorDied)
            return start.finish(
                .failure(WireError(.internalError, "\(name): the executor did not become its user; see executor.path")))
        }
        if let complaint = report.verbsComplaint {
            log.warning("an executor is not reached over RDMA", metadata: ["lease": "\(id)", "why": "\(complaint)"])
        }
        start.note("ready")
        let phases = start.microseconds.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        log.debug(
            "lease begins",
            metadata: [
                "lease": "\(id)", "user": "\(executor.grant.user)", "pid": "\(executor.process.pid)",
                "cgroup": "\(executor.cgroup.lease)", "parked": "\(start.wasParked)",
                "us": "\(phases.joined(separator: " "))",
            ])
        start.finish(.success(report))
    }
}
