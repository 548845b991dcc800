internal import FallowControl
internal import FallowHistory
internal import FallowModel
internal import FallowPolicy
internal import FallowWire

extension ClusterService {
    /// Everybody's rows, or one user's.
    enum Scope: Sendable {
        case everybody
        case only(UserID)
        func covers(_ user: UserID) -> Bool {
            switch self {
            case .everybody: true
            case .only(let owner): owner == user
            }
        }
        var user: UserID? {
            switch self {
            case .everybody: nil
            case .only(let owner): owner
            }
        }
    }

    func status(cluster: String, version: String) -> ClusterStatus {
        let views = policy.nodeViews(now: .now)
        let counts = policy.nodeCounts
        return ClusterStatus(
            cluster: cluster, version: version, startedAt: startedAt, nodesReporting: counts.reporting,
            nodesSilent: counts.silent, cores: views.reduce(0) { $0 + $1.cores },
            allocatedCores: views.reduce(0) { $0 + $1.allocatedCores },
            leasedCores: views.reduce(0) { $0 + $1.leasedCores },
            offeredCores: views.reduce(0) { $0 + $1.offer.cores }, leases: policy.leases.count,
            slurmAnswers: slurmAnswers, at: .now)
    }

    func nodes() -> [NodeView] { policy.nodeViews(now: .now) }

    func jobs(_ scope: Scope, ended: Bool) async throws -> [JobView] {
        let running = policy.jobViews().filter { scope.covers($0.job.user) }
        guard ended else { return running }
        await ledger.settleAll()
        return running + (try await ledger.read { try $0.endedJobs(user: scope.user) })
    }

    func leases(_ scope: Scope, ended: Bool) async throws -> [LeaseView] {
        let running = policy.leaseViews().filter { scope.covers($0.user) }
        guard ended else { return running }
        await ledger.settle()
        return running + (try await ledger.read { try $0.endedLeases(user: scope.user) })
    }

    func capacity(_ query: ReportQuery) async throws -> CapacityReport {
        await ledger.settleAll()
        return try await ledger.read { try $0.capacityReport(query) }
    }

    func metrics(cluster: String, version: String, viewers: Int) -> Metrics {
        Metrics(
            status: status(cluster: cluster, version: version), waiting: waiters.waiters.count,
            leasesGranted: leasesGranted, leasesRefused: leasesRefused, leasesEnded: leasesEnded, reports: reports,
            counters: ledger.counters, historyBytes: ledger.sizeBytes, historyIsWritten: ledger.problem == nil,
            historyWritesLost: ledger.lost, viewers: viewers)
    }
}
