internal import FallowHistory
internal import FallowReporting
internal import FallowWire

/// What `/metrics` says of this fallowctld: what it alone knows, and no user, job or node by name.
struct Metrics: Sendable {
    var status: ClusterStatus
    var waiting: Int
    var leasesGranted: Int
    var leasesRefused: Int
    var leasesEnded: [LeaseEnd: Int]
    var reports: Int
    var counters: HistoryCounters
    var historyBytes: Int64
    var historyIsWritten: Bool
    var historyWritesLost: Int
    /// Browsers that look at the page live.
    var viewers: Int

    /// Every reason a lease can end for, so that a series is there before its first event.
    private static let reasons: [LeaseEnd] = [
        .released, .clientGone, .expired, .reclaimed, .withdrawn, .executorDied, .outOfMemory, .agentGone,
    ]

    /// Prometheus's text format.
    var text: String {
        var page = MetricsText()
        page.add(
            "fallow_build_info", .gauge, "Always 1; the version of fallowctld.", [([("version", status.version)], 1)])
        page.add(
            "fallow_start_time_seconds", .gauge, "When fallowctld started, in seconds since 1970.",
            status.startedAt.secondsSinceEpoch)
        page.add("fallow_slurm_up", .gauge, "1 while slurmctld answers fallowctld.", status.slurmAnswers ? 1 : 0)
        page.add(
            "fallow_agents", .gauge, "Nodes whose agent reports, or has stopped to.",
            [
                ([("state", "reporting")], Double(status.nodesReporting)),
                ([("state", "silent")], Double(status.nodesSilent)),
            ])
        page.add("fallow_node_reports_total", .counter, "Reports taken from agents.", Double(reports))
        page.add("fallow_offered_cores", .gauge, "Cores that could be leased now.", Double(status.offeredCores))
        page.add("fallow_leased_cores", .gauge, "Cores that leases hold now.", Double(status.leasedCores))
        page.add("fallow_leases", .gauge, "Leases that run or are granted.", Double(status.leases))
        page.add("fallow_lease_requests_waiting", .gauge, "Requests that wait for capacity.", Double(waiting))
        page.add("fallow_leases_granted_total", .counter, "Leases granted.", Double(leasesGranted))
        page.add("fallow_lease_requests_refused_total", .counter, "Requests that got no lease.", Double(leasesRefused))
        page.add(
            "fallow_leases_ended_total", .counter, "Leases that ended, by reason.",
            Self.reasons.map { ([("reason", $0.rawValue)], Double(leasesEnded[$0] ?? 0)) })
        addUse(&page)
        page.add(
            "fallow_vacate_seconds", "How long owners waited until nothing of ours ran on their cores.",
            [([], counters.vacateSeconds)])
        page.add(
            "fallow_idle_gap_seconds", "Gaps that a job ended: no job on the node, or some core free.",
            [([("of", "node")], counters.nodeGapSeconds), ([("of", "cores")], counters.coreGapSeconds)])
        page.add("fallow_history_up", .gauge, "1 while the history can be written.", historyIsWritten ? 1 : 0)
        page.add("fallow_history_size_bytes", .gauge, "Size of the history's file.", Double(historyBytes))
        page.add(
            "fallow_history_lost_writes_total", .counter, "Entries that the history could not write.",
            Double(historyWritesLost))
        page.add("fallow_page_viewers", .gauge, "Browsers that look at the page live.", Double(viewers))
        return page.text
    }

    private func addUse(_ page: inout MetricsText) {
        let use = counters.use
        func sample(_ name: String, _ value: Double) -> (labels: [(String, String)], value: Double) {
            ([("use", name)], value)
        }
        page.add(
            "fallow_core_seconds_total", .counter,
            "Core time that agents watched: held by jobs, of that used; held by leases, of that used.",
            [
                sample("watched", use.coreSeconds(.capacity)), sample("allocated", use.coreSeconds(.allocated)),
                sample("used", use.coreSeconds(.used)), sample("lent", use.coreSeconds(.lent)),
                sample("recovered", use.coreSeconds(.recovered)), sample("down", use.coreSeconds(.down)),
            ])
        page.add(
            "fallow_memory_byte_seconds_total", .counter,
            "Memory over time that agents watched: held by jobs, of that used; held by leases.",
            [
                sample("watched", use.byteSeconds(.memoryCapacity)),
                sample("allocated", use.byteSeconds(.memoryAllocated)), sample("used", use.byteSeconds(.memoryUsed)),
                sample("lent", use.byteSeconds(.memoryLent)),
            ])
    }
}
