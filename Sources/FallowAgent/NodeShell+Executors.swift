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

    /// Obeys a grant, once: finds room, makes the cgroup, starts the executor, hands it its assignment.
    ///
    /// - Parameters:
    ///   - library: a descriptor of the library, opened for reading; stays the caller's.
    ///   - local: whether the client is on this node, so that the transport is shm.
    ///   - ready: called on the loop, once: with the executor's word (no addresses with shm), or why there is none;
    ///     everything is cleaned up then.
    func open(
        _ grant: Grant, library: Int32, local: Bool, ready: @escaping (Result<ExecutorReport, WireError>) -> Void
    ) {
        let executor: RunningExecutor
        do {
            executor = try start(grant, library: library, local: local)
        } catch { return ready(.failure(error)) }
        executors[grant.leaseID] = executor
        do {
            try watch(executor)
        } catch {
            revoke([grant.leaseID], .executorDied, detail: "\(error)")
            return ready(.failure(error))
        }
        executor.onReady = ready
        onChange()
    }

    private func start(_ grant: Grant, library: Int32, local: Bool) throws(WireError) -> RunningExecutor {
        let now = now
        guard grant.node == name else {
            throw WireError(.refused, "the grant is for node \(grant.node), this is \(name)")
        }
        guard grant.obeyBefore > now else { throw WireError(.refused, "the grant is too old") }
        guard obeyed[grant.leaseID] == nil else { throw WireError(.conflict, "the grant was obeyed before") }
        guard grant.user != .root else { throw WireError(.refused, "functions never run as root") }
        obeyed[grant.leaseID] = grant.obeyBefore
        let geometry = ArenaGeometry(
            slotCount: grant.demand.slotCount, inputBytes: grant.demand.inputBytes,
            outputBytes: grant.demand.outputBytes)
        if let complaint = geometry.complaint { throw WireError(.invalid, complaint) }
        let placement: Placement
        ledger.advance(to: now, as: policy)
        do {
            placement = try policy.open(
                grant.leaseID, user: grant.user, cores: grant.demand.cpus, memory: grant.demand.memory,
                termEnds: grant.termEnds, now: now)
        } catch {
            refused(grant, at: now, "\(error)")
            throw WireError(.noCapacity, "\(name): \(error)")
        }
        do {
            return try spawnExecutor(grant, placement, geometry, library: library, local: local, now: now)
        } catch {
            log.error("no executor for a lease", metadata: ["lease": "\(grant.leaseID)", "error": "\(error)"])
            if let folder = tree.existing(grant.leaseID) { try? folder.remove() }
            policy.close(grant.leaseID)
            refused(grant, at: now, "\(error)")
            throw (error as? WireError) ?? WireError(.internalError, "\(name): \(error)")
        }
    }

    /// Lets the co-scheduler know at once that a grant came to nothing, so that its capacity is free again.
    private func refused(_ grant: Grant, at now: Timestamp, _ why: String) {
        let lease = LeaseReport(
            leaseID: grant.leaseID, user: grant.user, cores: AbstractCoreSet(), memory: .zero, startedAt: now,
            termEnds: grant.termEnds, beneath: nil, usedCoreSeconds: 0, libraryName: grant.demand.libraryName)
        outbox.add(LeaseEnded(lease: lease, at: now, reason: .withdrawn, detail: why))
        onChange()
    }

    private func spawnExecutor(
        _ grant: Grant, _ placement: Placement, _ geometry: ArenaGeometry, library: Int32, local: Bool, now: Timestamp
    ) throws -> RunningExecutor {
        let identity = try UserIdentity.resolve(grant.user)
        let cpus = settings.coreMapping == .logical ? nil : coreMap.cpus(of: placement.cores)
        let cgroup = try tree.create(
            grant.leaseID,
            limits: LeaseLimits(
                cpus: cpus, cpuQuotaCores: grant.demand.cpus, memory: grant.demand.memory,
                processes: settings.executorProcesses))
        let arena = local ? try ShmArena.create(geometry: geometry, workers: grant.demand.cpus) : nil
        let (ours, theirs) = try LocalConnection.pair(type: .seqpacket)
        defer { theirs.close() }
        let (output, writer) = try OutputTail.make(on: loop)
        defer { Glibc.close(writer) }
        let rdma = local ? nil : rdma
        let assignment = ExecutorAssignment(
            leaseID: grant.leaseID, secret: grant.secret, workers: grant.demand.cpus, cpus: cpus ?? MachineCPUSet(),
            transport: local ? .shm : .fabric, bindAddress: local ? nil : settings.dataAddress,
            verbsAddress: rdma?.address,
            slotCount: geometry.slotCount, inputBytes: geometry.inputBytes, outputBytes: geometry.outputBytes,
            libraryName: grant.demand.libraryName,
            pollMicroseconds: Int(settings.executorPoll.nanoseconds / 1000))
        let descriptors = [library] + (arena.map { [$0.descriptor] } ?? [])
        guard try ours.send(encodeJSON(assignment), descriptors: descriptors) != nil else {
            throw WireError(.internalError, "an executor's control socket took no assignment")
        }
        let spawned = try spawn(
            SpawnRequest(
                executable: settings.executorPath,
                environment: [
                    "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": identity.home, "USER": identity.name,
                    "LOGNAME": identity.name, "LANG": "C.UTF-8", "FALLOW_LEASE": "\(grant.leaseID)",
                    "OMP_NUM_THREADS": "1", "SWIFT_BACKTRACE": "enable=no",
                ],
                descriptors: [1: writer, 2: writer, 3: theirs.descriptor], identity: identity,
                cgroupProcsFiles: cgroup.procsFiles, affinity: cpus,
                limits: SpawnRequest.Limits(
                    openFiles: settings.executorOpenFiles, fileSize: settings.executorFileSize,
                    // What is registered is pinned; the lease's cgroup bounds it.
                    unlimitedLockedMemory: rdma != nil),
                isolation: .namespacesAndDevices(keeping: rdma?.deviceFiles ?? [])))
        return RunningExecutor(
            grant: grant, placement: placement, cgroup: cgroup,
            process: ProcessHandle(child: spawned.pid, descriptor: spawned.descriptor), control: ours, arena: arena,
            startedAt: now, output: output)
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
                guard let self, let executor = executors[id], let ready = executor.onReady else { return }
                executor.onReady = nil
                revoke([id], .executorDied)
                ready(.failure(WireError(.libraryUnusable, "the library did not load within \(Self.readyTimeout)")))
            })
    }

    /// The executor's one report, or the end of its control socket.
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
        guard let ready = executor.onReady else { return exited(id) }
        executor.onReady = nil
        let report: ExecutorReport
        do {
            report = try decodeJSON(ExecutorReport.self, from: Array(buffer[..<received.count]))
        } catch {
            revoke([id], .executorDied)
            return ready(.failure(WireError(.internalError, "the executor's report makes no sense: \(error)")))
        }
        if let error = report.error {
            revoke([id], .executorDied)
            return ready(.failure(error))
        }
        if let complaint = report.verbsComplaint {
            log.warning("an executor is not reached over RDMA", metadata: ["lease": "\(id)", "why": "\(complaint)"])
        }
        ready(.success(report))
    }

    /// The executor's process, or its end of the control socket, is gone.
    private func exited(_ id: LeaseID) {
        guard let executor = executors[id] else { return }
        let grant = executor.grant
        let exit = executor.process.checkExit()
        if exit == .exited(code: 0), !executor.isLeaving {
            // Its clients left. Their agent's word on it, released or gone, is usually on its way.
            executor.isLeaving = true
            for token in executor.watches { loop.cancel(token) }
            executor.watches = [loop.after(.milliseconds(300)) { [weak self] in self?.revoke([id], .clientGone) }]
            return
        }
        let outOfMemory = executor.cgroup.usage().oomKills > 0
        let how = exit.map { "the executor \($0)" } ?? "the executor closed its control socket"
        let detail = how + (executor.output.lastLine.map { "; it last said: \($0)" } ?? "")
        let ready = executor.onReady
        executor.onReady = nil
        revoke([id], outOfMemory ? .outOfMemory : .executorDied, detail: detail)
        let why =
            outOfMemory
            ? "\(grant.demand.memory) of memory was used up while the library was loaded: ask for more"
            : "the library could not be loaded: \(detail)"
        ready?(.failure(WireError(.libraryUnusable, why)))
    }
}

extension NodeShell {
    /// A new grant for a lease that runs: its term changes.
    func renew(_ grant: Grant) -> Result<Void, WireError> {
        guard let executor = executors[grant.leaseID], executor.grant.user == grant.user else {
            return .failure(WireError(.notFound, "there is no lease \(grant.leaseID) on \(name)"))
        }
        guard grant.node == name, grant.obeyBefore > now else {
            return .failure(WireError(.refused, "the grant is for another node, or too old"))
        }
        executor.grant.termEnds = grant.termEnds
        policy.renew(grant.leaseID, termEnds: grant.termEnds)
        onChange()
        return .success(())
    }
}
