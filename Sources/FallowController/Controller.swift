public import FallowConfiguration
internal import FallowControl
internal import FallowHistory
public import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowSlurm
internal import FallowWeb
internal import FallowWire
internal import Glibc
public import Logging

/// fallowctld: the view of all nodes, placement, leases and their history, behind an HTTP API.
public struct Controller: Sendable {
    public static let version = "0.1.0"
    private let settings: Settings
    let logger: Logger

    public init(settings: Settings, logger: Logger) {
        self.settings = settings
        self.logger = logger
    }

    /// Where the daemon writes its URL.
    var urlFile: String { settings.stateDirectory + "/fallowctld.url" }

    /// Serves until the task is cancelled.
    ///
    /// - Parameters:
    ///   - manager: systemd, when it started this; placing leases gives it signs of life.
    ///   - onListening: called once with the URL that it is reached at.
    /// - Throws: what keeps it from starting: the address, the history, the configuration; each a sentence.
    public func run(
        manager: ServiceManager? = nil, onListening: @escaping @Sendable (String) async -> Void
    ) async throws {
        guard settings.trustedUsers.contains(UserID(getuid())) else {
            throw WireError(
                .refused, "this runs as uid \(getuid()), which is none of munge.trusted_uids: no agent would believe it"
            )
        }
        let munge = Munge(socket: settings.mungeSocket)
        do {
            _ = try await munge.encode(.init(), restrictTo: nil)
        } catch {
            logger.error("nobody can be believed until this is mended: \(error)")
        }
        let history = try History(path: settings.stateDirectory + "/history.sqlite")
        let ledger = Ledger(history: history, logger: logger)
        var policy = ClusterPolicy(limits: ClusterLimits(settings))
        policy.restore(try history.openLeases().map { ClusterLease($0) }, now: .now)
        let service = ClusterService(
            policy: policy, switches: try history.switches(), ledger: ledger,
            instance: UInt64.random(in: 1 ... .max), logger: logger)
        let router = ControlServer.makeRouter(
            SealMiddleware(
                munge: munge, trustedUsers: settings.trustedUsers, openPaths: ["/v1/health", "/metrics", "/"],
                openPrefix: WebPages.prefix))
        let page = try WebPages(
            source: ClusterSource(service: service, ledger: ledger, settings: settings), settings: .init(settings))
        if !page.hasCharts { logger.notice("the page has no charts: there is no \(settings.chartLibrary)") }
        Routes(service: service, settings: settings, munge: munge, ledger: ledger, page: page).add(to: router)
        let server = try ControlServer(listen: settings.controllerListen, router: router, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await server.run { port in await onListening(url(server.host, port)) }
            }
            group.addTask { try await tick(service, page, manager) }
            group.addTask { try await page.run() }
            group.addTask { try await prune(ledger) }
            group.addTask { try await flush(ledger) }
            let poller = SlurmPoller(
                service: service, program: settings.slurmReaderPath, interval: settings.slurmPollInterval,
                logger: logger)
            group.addTask { try await poller.run() }
            do {
                _ = try await group.next()
            } catch is CancellationError {
            }
            await service.stop()
            await page.close()
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
        await ledger.settleAll()
    }

    private func tick(_ service: ClusterService, _ page: WebPages, _ manager: ServiceManager?) async throws {
        var aliveAt = ContinuousClock.now
        do {
            while true {
                try await Task.sleep(for: .milliseconds(250))
                await service.tick()
                if let manager, let period = manager.alivePeriod, ContinuousClock.now - aliveAt >= period {
                    manager.alive()
                    aliveAt = .now
                }
            }
        } catch {
            // Who waits for capacity, or looks at the page, must not hold up the stop.
            await service.stop()
            await page.close()
            throw error
        }
    }

    private func prune(_ ledger: Ledger) async throws {
        let retention = Retention(settings)
        while true {
            ledger.write { try $0.prune(now: .now, keeping: retention) }
            try await Task.sleep(for: .seconds(3600))
        }
    }

    private func flush(_ ledger: Ledger) async throws {
        while true {
            try await Task.sleep(for: .seconds(60))
            ledger.flush()
        }
    }

    private func url(_ host: String, _ port: Int) -> String {
        let host = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host
        return "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}

extension ClusterLimits {
    /// As the site's configuration has them.
    init(_ settings: Settings) {
        self.init()
        termDefault = settings.termDefault
        termMaximum = settings.termMaximum
        leasesPerUser = settings.leasesPerUser
        coresPerUser = settings.coresPerUser
        memoryPerUser = settings.memoryPerUser
        donorSize = settings.donorSize
        silentAfter = max(.seconds(6), settings.reportInterval * 3)
    }
}

extension Retention {
    /// As the site's configuration has it.
    init(_ settings: Settings) {
        self.init()
        raw = settings.historyRaw
        minutes = settings.historyMinutes
        hours = settings.historyHours
        events = settings.historyEvents
    }
}
