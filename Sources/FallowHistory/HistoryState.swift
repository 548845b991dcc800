internal import FallowModel
internal import FallowReporting
internal import FallowWire

/// What the history keeps in memory between two writes: accounts of nodes and jobs, and what has grown since.
///
/// It may be thrown away at any time: with `saved` back in force, the next reports hold what was lost.
struct HistoryState: Sendable {
    struct JobKey: Hashable, Sendable {
        var node: NodeName
        var job: JobID
        var firstSeenAt: Timestamp
    }
    struct Owner: Hashable, Sendable {
        var hour: Int64
        var user: UserID
        var account: String
        var partition: String
    }
    struct TallyKey: Hashable, Sendable {
        var hour: Int64
        var kind: TallyKind
        var bucket: Int
    }

    /// What is believed of nodes and jobs, so that the next report's growth is known.
    struct Accounts: Sendable {
        var nodes: [NodeName: NodeAccount] = [:]
        var jobs: [NodeName: [JobKey: JobRow]] = [:]
    }
    var accounts = Accounts()
    /// The accounts as the file has them.
    var saved = Accounts()
    var nodeIDs: [NodeName: Int64] = [:]
    var facts: [JobID: JobFacts] = [:]
    var partitions: [NodeName: String] = [:]

    /// Since the file was opened.
    var counters = HistoryCounters()

    // What has grown since.
    /// Nodes whose accounts changed.
    var changedNodes: Set<NodeName> = []
    var growth: [(node: NodeName, growth: NodeAccount.Growth)] = []
    /// By job, so that a job's end can be written by itself.
    var owners: [JobKey: [Owner: NodeUse]] = [:]
    var tallies: [TallyKey: Tally.Bucket] = [:]
    var changedJobs: Set<JobKey> = []
    var hasChanges: Bool { !growth.isEmpty || !changedNodes.isEmpty || !changedJobs.isEmpty || !tallies.isEmpty }

    /// Takes a node's report.
    ///
    /// - Returns: runs of jobs that ended, to be written at once: their agent will not tell of them again.
    mutating func take(_ report: NodeReport, at now: Timestamp, isDown: Bool) -> [JobKey] {
        let grown: NodeAccount.Growth?
        if var account = accounts.nodes[report.node] {
            grown = account.take(report, at: now, isDown: isDown)
            accounts.nodes[report.node] = account
        } else {
            let (account, growth) = NodeAccount.open(report, at: now, isDown: isDown)
            accounts.nodes[report.node] = account
            grown = growth
        }
        guard let grown else { return [] }
        changedNodes.insert(report.node)
        if !grown.use.isZero { growth.append((report.node, grown)) }
        counters.use += grown.use
        for gap in grown.endedGaps {
            switch gap {
            case .node(let seconds):
                tally(.nodeGapSeconds, seconds, now)
                counters.nodeGapSeconds.add(seconds)
            case .cores(let seconds):
                tally(.coreGapSeconds, seconds, now)
                counters.coreGapSeconds.add(seconds)
            }
        }
        return takeJobs(report, now)
    }

    private mutating func takeJobs(_ report: NodeReport, _ now: Timestamp) -> [JobKey] {
        var known = accounts.jobs[report.node] ?? [:]
        var ended: [JobKey] = []
        var seen = Set<JobKey>()
        for job in report.jobs {
            let key = JobKey(node: report.node, job: job.jobID, firstSeenAt: job.firstSeenAt)
            seen.insert(key)
            let before = known[key]
            if before?.job.endedAt != nil { continue }
            let use = (NodeUse(job) - (before.map { NodeUse($0.job) } ?? NodeUse())).withoutFalls
            let facts = facts[job.jobID] ?? before?.facts
            for part in Spread.parts(
                .init(use: use, from: before?.lastSeenAt ?? min(job.firstSeenAt, now), to: now), every: 3600)
            {
                let owner = Owner(
                    hour: part.second / 3600, user: job.user, account: facts?.account ?? "",
                    partition: facts?.partition ?? "")
                owners[key, default: [:]][owner, default: NodeUse()] += part.use
            }
            known[key] = JobRow(job: job, facts: facts, lastSeenAt: now)
            changedJobs.insert(key)
            if job.endedAt != nil { ended.append(key) }
        }
        // An agent that started again, or an end whose report was lost: it ended when it was last seen.
        for (key, row) in known where !seen.contains(key) {
            if row.job.endedAt == nil {
                known[key]?.job.endedAt = row.lastSeenAt
                changedJobs.insert(key)
                ended.append(key)
            } else if !changedJobs.contains(key) {
                known[key] = nil
            }
        }
        accounts.jobs[report.node] = known
        return ended
    }

    mutating func tally(_ kind: TallyKind, _ value: Double, _ at: Timestamp) {
        let key = TallyKey(
            hour: at.nanosecondsSinceEpoch / 3_600_000_000_000, kind: kind, bucket: Tally.bucket(of: value))
        tallies[key, default: .init(count: 0, sum: 0)].count += 1
        tallies[key]?.sum += value
    }

    /// A node that nobody watches and that Slurm withholds.
    mutating func down(_ node: NodeName, cores: Int, from: Timestamp, to: Timestamp) {
        guard let account = accounts.nodes[node], account.at < from else { return }
        var use = NodeUse()
        use[.down] = NodeUse.hundredths((to - from).inSeconds * Double(cores))
        growth.append((node, .init(use: use, from: from, to: to)))
        counters.use += use
    }

    /// These runs are in the file.
    mutating func wereSaved(_ keys: [JobKey]) {
        for key in keys {
            saved.jobs[key.node, default: [:]][key] = accounts.jobs[key.node]?[key]
            changedJobs.remove(key)
            owners[key] = nil
        }
    }
    /// What was gathered is in the file.
    mutating func wasSaved() {
        forgetGrowth()
        saved = accounts
    }
    /// It could not be written: totals come back with the next reports, spread over the time between.
    ///
    /// Counters count on; what comes back is counted again, which a monitor sees as a peak.
    mutating func wasLost() {
        forgetGrowth()
        accounts = saved
    }
    private mutating func forgetGrowth() {
        growth = []
        owners = [:]
        tallies = [:]
        changedJobs = []
        changedNodes = []
    }
}
