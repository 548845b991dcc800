internal import FallowConfiguration
internal import FallowHistory
internal import FallowModel
internal import FallowPolicy
internal import FallowReporting
internal import FallowWeb
internal import FallowWire

/// What the page shows: the views and the accounts that the API gives.
struct ClusterSource: WebSource {
    let service: ClusterService
    let ledger: Ledger
    let settings: Settings

    func status() async -> ClusterStatus {
        await service.status(cluster: settings.clusterName, version: Controller.version)
    }
    func nodes() async -> [NodeView] { await service.nodes() }
    func jobs() async -> [JobView] { (try? await service.jobs(.everybody, ended: false)) ?? [] }
    func leases() async -> [LeaseView] { (try? await service.leases(.everybody, ended: false)) ?? [] }
    func endedLeases(limit: Int) async throws -> [LeaseView] {
        try await ledger.read { try $0.endedLeases(user: nil, limit: limit) }
    }
    func privateData() async -> PrivateData { await service.privateData }
    var historyProblem: String? {
        ledger.problem == nil ? nil : "it cannot be written; fallowctld\u{2019}s log says why"
    }

    func report(_ question: WebQuestion) async throws -> CapacityReport {
        try await service.capacity(query(question))
    }
    func series(_ question: WebQuestion, stepSeconds: Int64, rowLimit: Int) async throws -> CapacitySeries {
        let query = query(question)
        await ledger.settleAll()
        return try await ledger.read {
            try $0.capacitySeries(query, stepSeconds: stepSeconds, rowLimit: rowLimit)
        }
    }

    private func query(_ question: WebQuestion) -> ReportQuery {
        var query = ReportQuery(since: question.since, until: question.until)
        query.cluster = settings.clusterName
        query.job = question.job
        query.viewer = question.viewer
        return query
    }
}

extension WebSettings {
    /// As the site's configuration has them.
    init(_ settings: Settings) {
        self.init(
            cluster: settings.clusterName, version: Controller.version, operators: settings.operators,
            readerTokenFile: settings.readerTokenFile, proxyTokenFile: settings.proxyTokenFile,
            chartLibrary: settings.chartLibrary, silentAfter: ClusterLimits(settings).silentAfter)
    }
}
