internal import ArgumentParser
internal import FallowModel
internal import FallowReporting
internal import FallowWire

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "The cluster in a few lines.")
    @OptionGroup var common: CommonOptions

    func run() async throws {
        try common.show(try await common.get("/v1/status", ClusterStatus.self)) { status in
            """
            cluster      \(status.cluster) (fallowctld \(status.version), up since \(status.startedAt.localText))
            slurmctld    \(status.slurmAnswers ? "answers" : "does not answer: nothing new is lent")
            nodes        \(status.nodesReporting) reporting, \(status.nodesSilent) silent
            cores        \(status.cores) in all, \(status.allocatedCores) held by jobs, \
            \(status.leasedCores) leased, \(status.offeredCores) on offer
            leases       \(status.leases)

            """
        }
    }
}

struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "Each node: what jobs hold, what is leased, what is on offer.")
    @OptionGroup var common: CommonOptions

    func run() async throws {
        try common.show(try await common.get("/v1/nodes", [NodeView].self)) { nodes in
            var table = Table([
                ("NODE", .left), ("STATE", .left), ("CORES", .right), ("JOBS", .right), ("LEASED", .right),
                ("LEASED-MEM", .right), ("OFFER", .right), ("OFFER-MEM", .right), ("SEEN", .right),
            ])
            var reasons = ""
            for node in nodes {
                table.add(
                    "\(node.node)", node.slurmState ?? "?", "\(node.cores)", "\(node.allocatedCores)",
                    "\(node.leasedCores)", "\(node.leasedMemory)", "\(node.offer.cores)", "\(node.offer.memory)",
                    node.lastReportSeconds.map { "\(decimal($0)) s" } ?? "never")
                if let reason = node.withheldReason { reasons += "\(node.node) lends nothing: \(reason)\n" }
            }
            return table.text + reasons
        }
    }
}

struct JobsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs", abstract: "Each job: what it holds, uses and lends.")
    @OptionGroup var common: CommonOptions
    @Flag(help: "Ended jobs too.")
    var ended = false

    func run() async throws {
        try common.show(try await common.get("/v1/jobs" + (ended ? "?ended=1" : ""), [JobView].self)) { jobs in
            var table = Table([
                ("JOB", .right), ("USER", .left), ("NODE", .left), ("CORES", .right), ("USED", .right),
                ("MEM", .right), ("PEAK", .right), ("LENDS", .left), ("SERVERLESS", .left),
            ])
            for view in jobs {
                let job = view.job
                let used = job.heldCoreSeconds > 0 ? job.usedCoreSeconds / job.heldCoreSeconds * 100 : 0
                table.add(
                    "\(job.jobID)", userName(job.user), "\(view.node)", "\(job.cores.count)",
                    job.measured ? decimal(used, 0) + "%" : "-", "\(job.memory)",
                    job.measured ? "\(job.peakMemory)" : "-",
                    job.endedAt == nil ? "\(job.lending.cores)c \(job.lending.memory)" : "ended",
                    job.serverless ?? "-")
            }
            return table.text
        }
    }
}

struct LeasesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leases", abstract: "Leases: whose, where, for how long, and why they ended.")
    @OptionGroup var common: CommonOptions
    @Flag(help: "Ended leases too.")
    var ended = false

    func run() async throws {
        try common.show(try await common.get("/v1/leases" + (ended ? "?ended=1" : ""), [LeaseView].self)) { leases in
            var table = Table([
                ("LEASE", .left), ("KIND", .left), ("USER", .left), ("NODE", .left), ("CPUS", .right), ("MEM", .right),
                ("BENEATH", .right), ("LEFT", .right), ("LIBRARY", .left),
            ])
            let now = Timestamp.current()
            for lease in leases {
                table.add(
                    "\(lease.leaseID)", lease.kind == .memory ? "mem" : "func", userName(lease.user), "\(lease.node)",
                    "\(lease.cpus)",
                    "\(lease.memory)",
                    lease.beneath.map { "\($0)" } ?? "-",
                    lease.endedAt == nil
                        ? clockText(seconds: (lease.termEnds - now).inSeconds)
                        : lease.reason?.rawValue ?? "ended", lease.kind == .memory ? "-" : lease.libraryName)
            }
            return table.text(within: 80, cutting: ["USER", "NODE", "LEFT", "LIBRARY"])
        }
    }
}
