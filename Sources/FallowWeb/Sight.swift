internal import FallowModel
internal import FallowWire

/// Who looks at the page.
enum Viewer: Sendable, Hashable {
    /// Somebody who may read, without a name: from this machine, or with the reader's token.
    case reader
    /// Somebody whom a reverse proxy names.
    case user(UserID)
    case `operator`(UserID)
}

/// What of others a viewer may see, as Slurm's `PrivateData` has it; sums that name nobody are for everybody.
struct Sight: Sendable, Hashable {
    /// Whose own things are shown in any case.
    let user: UserID?
    private let hidden: PrivateData

    init(_ viewer: Viewer, _ privateData: PrivateData) {
        switch viewer {
        case .reader: (user, hidden) = (nil, privateData)
        case .user(let own): (user, hidden) = (own, privateData)
        case .operator(let own): (user, hidden) = (own, [])
        }
    }

    var nodes: Bool { !hidden.contains(.nodes) }
    /// Others' jobs and leases.
    var jobs: Bool { hidden.isDisjoint(with: [.jobs, .users]) }
    /// How much others lent and borrowed.
    var usage: Bool { hidden.isDisjoint(with: [.usage, .users]) }
    var accounts: Bool { !hidden.contains(.accounts) }
    var isWhole: Bool { nodes && jobs && usage && accounts }

    func showsJobs(of owner: UserID) -> Bool { jobs || owner == user }
    func showsUsage(of owner: UserID) -> Bool { usage || owner == user }

    /// A report without what is not to be seen.
    func filtered(_ report: CapacityReport) -> CapacityReport {
        var report = report
        if !nodes { report.nodes = [] }
        report.jobs = report.jobs.filter { showsJobs(of: $0.user) }.map { job in
            var job = job
            if !accounts, job.user != user { job.facts.account = nil }
            return job
        }
        report.lenders = report.lenders.filter { showsUsage(of: $0.user) }
        report.borrowers = report.borrowers.filter { showsUsage(of: $0.user) }
        return report
    }
}
