public import FallowModel
public import FallowWire

/// A report as text in 80 columns. Colour is never needed: it marks what passed a threshold, where the words say so too.
public struct ReportText {
    public var color = false
    /// Of the list of jobs.
    public var columns = JobColumn.defaults
    /// The names of users; a moment as local time.
    public var userName: (JobUse) -> String
    public var shareName: (CapacityReport.Share) -> String
    public var localTime: (Timestamp) -> String

    public init(
        color: Bool = false, userName: @escaping (JobUse) -> String,
        shareName: @escaping (CapacityReport.Share) -> String, localTime: @escaping (Timestamp) -> String
    ) {
        self.color = color
        self.userName = userName
        self.shareName = shareName
        self.localTime = localTime
    }

    public func text(_ report: CapacityReport) -> String {
        var sections = [heading(report)]
        if let total = report.total {
            sections.append(coreTime(total))
            sections.append(memory(total))
            if report.nodes.count > 1 { sections.append(nodes(report.nodes, of: report.nodeCount)) }
        } else {
            sections.append(jobTotal(report.jobTotal))
        }
        if !report.jobs.isEmpty { sections.append(jobs(report.jobs)) }
        let facts = lines(report)
        if !facts.isEmpty { sections.append(facts) }
        let notes = ReportNotes.notes(report)
        if !notes.isEmpty { sections.append("Notes\n" + notes.map { wrapped($0) }.joined()) }
        return sections.joined(separator: "\n")
    }

    private func heading(_ report: CapacityReport) -> String {
        var text = "\(report.cluster)  \(localTime(report.since)) to \(localTime(report.until))\n"
        if report.total != nil {
            let nodes = report.nodeCount == 1 ? "1 node" : "\(report.nodeCount) nodes"
            text += "\(nodes), \(report.cores) cores, \(report.memory)\n"
        }
        return text
    }

    /// A row of a picture: a name, a value in hours, its share and a bar.
    private func row(_ name: String, _ value: Double, of all: Double, mark: Character = "#") -> String {
        let share = all > 0 ? value / all : 0
        let bar = String(repeating: mark, count: max(0, min(30, Int(share * 30 + 0.5))))
        let text =
            Self.left(name, 24) + Self.right(Self.hours(value), 14) + Self.right(decimal(share * 100) + " %", 9)
            + (bar.isEmpty ? "" : "  " + bar)
        return text + "\n"
    }

    private func coreTime(_ use: CapacityUse) -> String {
        let all = use.coreSeconds
        var text = row("CORE-HOURS", all, of: all, mark: "=")
        text += row("used by jobs", use.usedCoreSeconds, of: all)
        text += row("held by jobs, not used", use.unusedCoreSeconds, of: all)
        text += row("held by no job", use.unallocatedCoreSeconds, of: all)
        text += row("down or drained", use.downCoreSeconds, of: all)
        text += row("not watched", use.unwatchedCoreSeconds, of: all)
        text += row("  lent of these", use.lentCoreSeconds, of: all, mark: "+")
        return text + row("  recovered by leases", use.recoveredCoreSeconds, of: all, mark: "+")
    }

    private func memory(_ use: CapacityUse) -> String {
        let gibibyte = Double(1 << 30)
        let all = use.byteSeconds / gibibyte
        var text = row("GIB-HOURS (watched)", all, of: all, mark: "=")
        text += row("used by jobs", use.usedByteSeconds / gibibyte, of: all)
        text += row("held by jobs, not used", use.unusedByteSeconds / gibibyte, of: all)
        text += row("held by no job", use.unallocatedByteSeconds / gibibyte, of: all)
        return text + row("  lent of these", use.lentByteSeconds / gibibyte, of: all, mark: "+")
    }

    private func jobTotal(_ total: CapacityReport.JobTotal) -> String {
        let gibibyte = Double(1 << 30)
        var text = row("CORE-HOURS held", total.heldCoreSeconds, of: total.heldCoreSeconds, mark: "=")
        text += row("used", total.usedCoreSeconds, of: total.heldCoreSeconds)
        text += row("  lent", total.lentCoreSeconds, of: total.heldCoreSeconds, mark: "+")
        text += row("GIB-HOURS held", total.heldByteSeconds / gibibyte, of: total.heldByteSeconds / gibibyte, mark: "=")
        text += row("used", total.usedByteSeconds / gibibyte, of: total.heldByteSeconds / gibibyte)
        return text + row("  lent", total.lentByteSeconds / gibibyte, of: total.heldByteSeconds / gibibyte, mark: "+")
    }

    private func nodes(_ nodes: [CapacityReport.Node], of count: Int) -> String {
        var table = Table([
            ("NODE", .left), ("CORE-HOURS", .right), ("USED", .right), ("UNUSED", .right), ("UNALLOC", .right),
            ("DOWN", .right), ("LENT", .right), ("RECOVERED", .right),
        ])
        for node in nodes {
            let use = node.use
            table.add(
                node.node.text, Self.hours(use.coreSeconds), Self.hours(use.usedCoreSeconds),
                Self.hours(use.unusedCoreSeconds), Self.hours(use.unallocatedCoreSeconds),
                Self.hours(use.downCoreSeconds), Self.hours(use.lentCoreSeconds), Self.hours(use.recoveredCoreSeconds))
        }
        let rest = count - nodes.count
        return table.text + (rest > 0 ? "and \(rest) nodes that left less\n" : "")
    }

    private func jobs(_ jobs: [JobUse]) -> String {
        var table = Table(columns.map { ($0.title, $0.isLeft ? .left : .right) })
        for job in jobs {
            table.add(columns.map { $0.text(job, userName) })
        }
        return table.text
    }

    /// Gaps, leases, reclaims, lenders and borrowers: a line each.
    private func lines(_ report: CapacityReport) -> String {
        var text = ""
        for (name, gaps) in [("idle nodes", report.nodeGaps), ("idle cores", report.coreGaps)] {
            guard let gaps else { continue }
            text += wrapped(
                "gaps of \(name): \(gaps.count), median \(Self.span(gaps.medianSeconds)), p90 "
                    + "\(Self.span(gaps.p90Seconds)); a term of \(Self.span(gaps.fittingTermSeconds)) fits 9 times in 10"
            )
        }
        if !report.leases.isEmpty {
            let reasons = report.leases.map { "\($0.count) \($0.reason)" }.joined(separator: ", ")
            text += wrapped("leases ended: \(reasons)")
        }
        if let reclaims = report.reclaims {
            let promise = reclaims.late == 0 ? "kept" : mark("MISSED \(reclaims.late) times")
            text += wrapped(
                "reclaims: \(reclaims.count), vacated in \(decimal(reclaims.medianMicroseconds / 1000, 2)) ms (median), "
                    + "\(decimal(reclaims.p99Microseconds / 1000, 2)) ms (p99); the promise of 10 ms is \(promise)")
        }
        for (name, shares) in [("lenders", report.lenders), ("borrowers", report.borrowers)] where !shares.isEmpty {
            let names = shares.prefix(5).map { "\(shareName($0)) \(Self.hours($0.coreSeconds))" }
            let rest = shares.count > 5 ? " and \(shares.count - 5) more" : ""
            text += wrapped("\(name), core-hours: \(names.joined(separator: ", "))\(rest)")
        }
        return text
    }

    private func mark(_ text: String) -> String { color ? "\u{1b}[1;31m\(text)\u{1b}[0m" : text }
}

extension ReportText {
    public static func hours(_ seconds: Double) -> String {
        let hours = seconds / 3600
        return decimal(hours, hours < 100 ? 2 : hours < 10_000 ? 1 : 0)
    }

    /// `41 s`, `12.5 min`, `3.2 h`.
    public static func span(_ seconds: Double) -> String {
        if seconds < 120 { return decimal(seconds, seconds < 10 ? 1 : 0) + " s" }
        return seconds < 7200 ? decimal(seconds / 60) + " min" : decimal(seconds / 3600) + " h"
    }

    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// A sentence in lines of 80 columns, the later ones indented.
    func wrapped(_ sentence: String, width: Int = 80) -> String {
        var text = ""
        var line = ""
        for word in sentence.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                text += line + "\n"
                line = " "
            }
            line += line.isEmpty ? String(word) : " " + word
        }
        return text + line + "\n"
    }
}
