public import FallowConfiguration
internal import FallowControl
internal import FallowHost
public import FallowLocal
internal import FallowModel
internal import FallowWire
internal import Glibc
public import Logging

/// fallowd: one per node. Puts the pieces together and runs them until it is told to stop.
public struct Agent: Sendable {
    /// Fallow's version.
    public static var version: String { fallowVersion }

    let settings: Settings
    let log: Logger

    public init(settings: Settings, log: Logger) {
        self.settings = settings
        self.log = log
    }

    /// Serves until the task is cancelled; then every lease ends, and our cgroups are removed.
    ///
    /// - Throws: what makes it impossible to begin: no rights, no cgroup controllers, a socket in use, an address that cannot be had.
    /// - Parameter manager: systemd, when it started this; the event loop itself gives it signs of life.
    public func run(manager: ServiceManager? = nil) async throws {
        let name = settings.nodeName ?? NodeName(hostName())
        try makeFolders()
        let loop = try EventLoop()
        let tree = try CgroupTree(
            path: settings.cgroupPath, mount: settings.cgroupMount,
            share: settings.cgroupLowestWeight ? .lowest : .ordinary, logger: log)
        // Nothing that an earlier agent left behind is ours to vouch for: silence means off.
        clearLeftovers(tree)
        let shell = NodeShell(
            settings: settings, name: name, loop: loop, tree: tree, topology: try Topology.read(), log: log)
        let door = LoopDoor(loop, shell)
        let munge = Munge(socket: settings.mungeSocket)
        let client = SealedClient(munge: munge, trustedUsers: settings.trustedUsers, node: name)
        let (listening, listeningYield) = AsyncStream.makeStream(of: Int.self)
        let (agentURL, listen) = try await reservedURL(name)
        let broker = LeaseBroker(
            settings: settings, name: name, agentURL: agentURL, door: door,
            cache: LibraryCache(directory: settings.stateDirectory + "/libraries"), munge: munge, client: client,
            log: log)
        let harness = try ClientHarness(
            path: settings.runtimeDirectory + "/client.sock", loop: loop, log: log)
        let memory = JobMemory(broker: broker, loop: loop, log: log)
        shell.jobMemory = memory
        let service = ClientService(harness: harness, broker: broker, memory: memory, loop: loop, log: log)
        let clients = LoopDoor(loop, service)
        let link = ControllerLink(settings: settings, door: door, client: client, log: log)
        service.controllerReachable = { link.isReachable }
        service.coreMapping = { [unowned shell] in
            settings.coreMapping == .logical ? "logical" : shell.coreMap.state.rawValue
        }
        shell.onChange = { link.noteChange() }
        shell.onLeaseEnd = { executor, reason, _ in
            let notice = LeaseEndNotice(leaseID: executor.leaseID, reason: reason)
            let url = executor.grant.clientAgentURL
            if executor.grant.clientNode == name {
                service.ended(notice.leaseID, notice.reason)
            } else if reason != .released, reason != .clientGone {
                Task {
                    try? await client.sendIgnoringReply(
                        .post, url, "/v1/leases/\(notice.leaseID)/ended", body: notice, attempts: 2)
                }
            }
        }
        shell.removeBreakers()
        let reports = try ReportHarness(
            path: settings.runtimeDirectory + "/report.sock", shell: shell, plugin: PluginWatch(door: door, log: log))
        loop.after(.seconds(1), repeating: .seconds(1)) { shell.tick() }
        let rdma = RDMAWatch(settings: settings, door: door, log: log)
        await rdma.look()
        let server = try ControlServer(
            listen: listen,
            router: PeerServer(settings: settings, door: door, clients: clients, broker: broker, log: log).router(),
            logger: log)
        log.notice(
            "fallowd starts",
            metadata: ["node": "\(name)", "url": "\(agentURL)", "cores": "\(shell.policy.rules.cores)"])

        if let manager, let period = manager.alivePeriod {
            loop.after(.zero, repeating: period) { manager.alive() }
        }
        let pool = BlockingPool(name: "fallow.loop", threads: 1, limit: 1)
        let closing = LoopDoor(loop, (shell, reports, harness))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await pool.run(timeout: .seconds(1 << 31), "the event loop") {
                    do { try runThisThreadFirst() } catch {
                        log.warning(
                            "on a busy node a job's start may wait for this agent", metadata: ["error": "\(error)"])
                    }
                    loop.run()
                }
            }
            group.addTask {
                try await server.run { port in
                    listeningYield.yield(port)
                    listeningYield.finish()
                }
                throw CancellationError()
            }
            group.addTask { await rdma.run() }
            group.addTask {
                for await _ in listening { break }
                // Both doors are open now; the loop says so, once it runs.
                door.tell { _ in manager?.ready() }
                await link.run(name: name, agentURL: agentURL)
            }
            // Whoever ends first ends all: a daemon without one of its parts is no daemon.
            do {
                try await group.next()
            } catch is CancellationError {}
            manager?.stopping()
            // First nothing is granted any more, then the leases end, each with a word to its client.
            try? await door.call { $0.isStopping = true }
            await link.reportOnceMore(name: name, agentURL: agentURL)
            // What waits for jobs on other nodes is theirs again at once, and not when fallowctld finds this agent gone.
            if let elsewhere = try? await closing.call({ $0.0.jobMemory?.takeAll() ?? [] }) {
                await JobMemory.end(elsewhere, broker)
            }
            try? await closing.call { shell, reports, harness in
                shell.revoke(shell.leaseIDs, .agentGone)
                shell.parking.close()
                shell.donors.close()
                reports.close()
                harness.close()
            }
            await link.reportOnceMore(name: name, agentURL: agentURL)
            // What is being started makes cgroup folders: it comes first, and ends then.
            // Donors' memory has to be back, whoever still holds its file.
            for _ in 0..<200 where (try? await closing.call({ $0.0.unfinished })) ?? 0 > 0 {
                try? await Task.sleep(for: .milliseconds(10))
            }
            loop.stop()
            group.cancelAll()
            while (try? await group.next()) != nil {}
        }
        do { try tree.destroy() } catch { log.warning("cgroup folders stay behind", metadata: ["error": "\(error)"]) }
        log.notice("fallowd ended")
    }

    /// Ends what an agent that is gone has left: its leases and their cgroups, its sockets, its circuit breakers. Blocks for up to 3 s.
    ///
    /// - Throws: `pathInUse` when an agent serves here; what cannot be killed or removed.
    public func cleanUp() throws {
        let sockets = ["report.sock", "client.sock"].map { settings.runtimeDirectory + "/" + $0 }
        if (try? LocalConnection.connect(path: sockets[1], type: .stream, timeout: .seconds(1))) != nil {
            throw LocalError(.pathInUse, "an agent serves on \(sockets[1]): stop it first")
        }
        let tree = try CgroupTree(
            path: settings.cgroupPath, mount: settings.cgroupMount,
            share: settings.cgroupLowestWeight ? .lowest : .ordinary, logger: log)
        clearLeftovers(tree)
        try tree.destroy()
        for path in sockets { removeFile(path) }
        for file in filesInDirectory(settings.runtimeDirectory) where file.hasPrefix("breaker.") {
            removeFile(settings.runtimeDirectory + "/" + file)
        }
    }

    /// Kills what an earlier agent of this node started, and removes its folders.
    private func clearLeftovers(_ tree: CgroupTree) {
        let leases = tree.leases()
        guard !leases.isEmpty else { return }
        log.warning("leases of an earlier agent are ended", metadata: ["leases": "\(leases.count)"])
        tree.killAll()
        _ = tree.vacate(leases, within: .seconds(2))
        for lease in leases { try? tree.existing(lease)?.remove() }
    }

    private func makeFolders() throws(WireError) {
        for (path, mode) in [(settings.runtimeDirectory, 0o755), (settings.stateDirectory, 0o711)] as [(String, mode_t)]
        {
            if mkdir(path, mode) != 0, errno != EEXIST {
                throw WireError(
                    .internalError, "cannot make the folder \(path): \(String(cString: strerror(errno)))")
            }
        }
    }

    /// Where other nodes reach this agent, and what to listen on.
    ///
    /// The URL is told to others before the first report, so a port of 0 is made a real one first.
    private func reservedURL(_ name: NodeName) async throws -> (url: String, listen: String) {
        guard let colon = settings.agentListen.lastIndex(of: ":"),
            let port = UInt16(settings.agentListen[settings.agentListen.index(after: colon)...]), port > 0
        else {
            throw WireError(
                .invalid, "agent.listen is '\(settings.agentListen)'; an address and a port above 0 are expected")
        }
        let host = settings.agentListen[..<colon]
        let reachable = host == "0.0.0.0" || host == "[::]" ? hostName()[...] : host
        return (settings.agentURL ?? "http://\(reachable):\(port)", settings.agentListen)
    }
}

/// The machine's name up to the first dot.
func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return String(name.prefix { $0 != "." })
}
