internal import FallowModel
internal import FallowReporting
internal import FallowWire

extension OverviewPage {
    /// Adds what a report says: the same numbers in the same words as `fallow report`.
    mutating func add(_ report: CapacityReport, _ names: [UserID: String]) {
        func name(_ user: UserID) -> String { names[user] ?? "\(user)" }
        if let total = report.total, report.nodeCount > 0 {
            hasReport = true
            nodeCount = report.nodeCount
            coreHours = Digits.hours(total.coreSeconds)
            recoveredHours = Digits.hours(total.recoveredCoreSeconds)
            let span = max(1, (report.until - report.since).inSeconds)
            recoveredWorth = Digits.grouped(decimal(total.recoveredCoreSeconds / span))
            whiteHours = Digits.hours(total.whiteCoreSeconds)
            whitePercent = Self.percent(total.whiteCoreSeconds, total.coreSeconds)
            parts = Self.coreParts(total)
            memoryParts = Self.memoryParts(total)
        }
        nodeRows = report.nodes.map { node in
            let use = node.use
            return NodeRow(
                name: node.node.text, all: Digits.hours(use.coreSeconds),
                used: Digits.hours(use.usedCoreSeconds), unused: Digits.hours(use.unusedCoreSeconds),
                unallocated: Digits.hours(use.unallocatedCoreSeconds), down: Digits.hours(use.downCoreSeconds),
                lent: Digits.hours(use.lentCoreSeconds), recovered: Digits.hours(use.recoveredCoreSeconds))
        }
        moreNodes =
            report.nodeCount > report.nodes.count && !report.nodes.isEmpty
            ? report.nodeCount - report.nodes.count : nil
        for (of, gaps) in [("nodes", report.nodeGaps), ("cores", report.coreGaps)] {
            guard let gaps else { continue }
            gapFacts.append(
                GapFacts(
                    of: of, count: gaps.count, median: ReportText.span(gaps.medianSeconds),
                    p90: ReportText.span(gaps.p90Seconds), term: ReportText.span(gaps.fittingTermSeconds)))
        }
        hasGaps = !gapFacts.isEmpty
        reasons = report.leases.map {
            let end = LeaseEnd(rawValue: $0.reason)
            return ReasonRow(
                words: end?.words ?? $0.reason, count: $0.count, hours: Digits.hours($0.coreSeconds),
                revoked: end == .reclaimed || end == .withdrawn)
        }
        hasReasons = !reasons.isEmpty
        promise = report.reclaims.map {
            Promise(
                count: $0.count, median: decimal($0.medianMicroseconds / 1000, 2),
                p99: decimal($0.p99Microseconds / 1000, 2), late: $0.late, kept: $0.late == 0)
        }
        lenders = Self.shares(report.lenders, name)
        borrowers = Self.shares(report.borrowers, name)
        hasLenders = !lenders.isEmpty
        hasBorrowers = !borrowers.isEmpty
        jobs = report.jobs.map { JobRow($0, user: name($0.user)) }
        hasJobs = !jobs.isEmpty
        notes = ReportNotes.notes(report)
        hasNotes = !notes.isEmpty
    }

    /// Adds what stands in place of the charts, for who cannot see them.
    mutating func add(_ series: SeriesData) {
        let perRow = max(1, (series.used.count + 23) / 24)
        stepRows = stride(from: 0, to: series.used.count, by: perRow).map { first in
            func mean(_ values: [Double]) -> String {
                let part = values[first..<min(first + perRow, values.count)]
                return decimal(part.reduce(0, +) / Double(max(1, part.count)))
            }
            return StepRow(
                at: Moment(.init(secondsSinceEpoch: series.since + Double(Int64(first) * series.stepSeconds))),
                used: mean(series.used), recovered: mean(series.recovered), white: mean(series.white),
                down: mean(series.down), unwatched: mean(series.unwatched), lent: mean(series.lent))
        }
        gapRows = series.nodeGaps.names.indices.map {
            GapRow(
                name: series.nodeGaps.names[$0], nodes: series.nodeGaps.counts[$0], cores: series.coreGaps.counts[$0])
        }
    }

    private static func part(
        _ kind: String, _ name: String, _ value: Double, of all: Double, isOf: Bool = false
    ) -> Part {
        let share = all > 0 ? min(1, value / all) : 0
        return Part(
            kind: kind, name: name, hours: Digits.hours(value), percent: percent(value, all),
            width: (share * 1000).rounded() / 10, isOf: isOf)
    }

    private static func coreParts(_ use: CapacityUse) -> [Part] {
        let all = use.coreSeconds
        return [
            part("used", "used by jobs", use.usedCoreSeconds, of: all),
            part("held", "held by jobs, not used", use.unusedCoreSeconds, of: all),
            part("free", "held by no job", use.unallocatedCoreSeconds, of: all),
            part("down", "down or drained", use.downCoreSeconds, of: all),
            part("unwatched", "not watched", use.unwatchedCoreSeconds, of: all),
            part("lent", "lent of these", use.lentCoreSeconds, of: all, isOf: true),
            part("recovered", "recovered by leases", use.recoveredCoreSeconds, of: all, isOf: true),
        ]
    }

    private static func memoryParts(_ use: CapacityUse) -> [Part] {
        let all = use.byteSeconds / Double(1 << 30)
        func gibibytes(_ value: Double) -> Double { value / Double(1 << 30) }
        return [
            part("used", "used by jobs", gibibytes(use.usedByteSeconds), of: all),
            part("held", "held by jobs, not used", gibibytes(use.unusedByteSeconds), of: all),
            part("free", "held by no job", gibibytes(use.unallocatedByteSeconds), of: all),
            part("lent", "lent of these", gibibytes(use.lentByteSeconds), of: all, isOf: true),
        ]
    }

    private static func shares(_ shares: [CapacityReport.Share], _ name: (UserID) -> String) -> [ShareRow] {
        let most = shares.map(\.coreSeconds).max() ?? 0
        return shares.prefix(10).map {
            ShareRow(
                name: name($0.user), hours: Digits.hours($0.coreSeconds),
                width: most > 0 ? ($0.coreSeconds / most * 1000).rounded() / 10 : 0)
        }
    }

    static func percent(_ part: Double, _ whole: Double) -> String { decimal(whole > 0 ? part / whole * 100 : 0) }
}

extension OverviewPage.JobRow {
    init(_ job: JobUse, user: String) {
        func text(_ column: JobColumn) -> String { column.text(job) { _ in user } }
        self.init(
            id: job.facts.jobID.number, name: job.facts.name, user: user, account: text(.account),
            state: text(.state), isRunning: !job.ended, cores: job.cores, elapsed: text(.elapsed),
            held: Digits.grouped(text(.held)),
            efficiency: text(.efficiency), lent: text(.lent), memory: "\(text(.peak)) / \(text(.memory))")
    }
}
