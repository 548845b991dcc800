internal import ArgumentParser
internal import FallowModel
internal import FallowReporting
internal import FallowWire

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Where capacity went: used, allocated but unused, unallocated, lent.")
    @OptionGroup var common: CommonOptions
    @Option(help: "From when on: 30m, 12h, 7d (default: the last day).")
    var since: String?

    func run() async throws {
        var path = "/v1/report"
        if let since {
            guard let seconds = Self.seconds(since) else {
                throw ValidationError("--since '\(since)' is no span; 30m, 12h or 7d is")
            }
            let start = Timestamp.current() + .nanoseconds(Int64(-seconds * 1e9))
            path += "?since=\(start.secondsSinceEpoch)"
        }
        try common.show(try await common.get(path, CapacityReport.self), text: Self.text)
    }

    private static func seconds(_ text: String) -> Double? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let last = text.last, let unit = units[last], let count = Double(text.dropLast()), count > 0,
            count < 1e6
        else { return nil }
        return count * unit
    }

    /// The report in 80 columns.
    static func text(_ report: CapacityReport) -> String {
        func hours(_ seconds: Double) -> String { decimal(seconds / 3600, 2) }
        func memoryHours(_ byteSeconds: Double) -> String { decimal(byteSeconds / 3600 / Double(1 << 30), 2) }
        var text = "\(report.since.localText) to \(report.until.localText)\n\n"
        var nodes = Table([
            ("NODE", .left), ("CORE-HOURS", .right), ("USED", .right), ("UNUSED", .right), ("UNALLOC", .right),
            ("LENT", .right), ("RECOVERED", .right), ("BAR", .left),
        ])
        for node in report.nodes {
            let i = node.integrals
            let all = i.elapsedSeconds * Double(node.cores)
            nodes.add(
                "\(node.node)", hours(all), hours(i.usedCoreSeconds),
                hours(max(0, i.allocatedCoreSeconds - i.usedCoreSeconds)), hours(max(0, all - i.allocatedCoreSeconds)),
                hours(i.lentCoreSeconds), hours(i.recoveredCoreSeconds),
                bar(
                    used: i.usedCoreSeconds, unused: i.allocatedCoreSeconds - i.usedCoreSeconds,
                    lent: i.recoveredCoreSeconds, all: all))
        }
        text += nodes.text + "      # used by jobs   : held, not used   + recovered by leases   . nobody's\n\n"
        var memory = Table([
            ("NODE", .left), ("GIB-HOURS", .right), ("USED", .right), ("UNUSED", .right), ("UNALLOC", .right),
            ("LENT", .right),
        ])
        for node in report.nodes {
            let i = node.integrals
            let all = i.elapsedSeconds * Double(node.memory.bytes)
            memory.add(
                "\(node.node)", memoryHours(all), memoryHours(i.usedByteSeconds),
                memoryHours(max(0, i.allocatedByteSeconds - i.usedByteSeconds)),
                memoryHours(max(0, all - i.allocatedByteSeconds)), memoryHours(i.lentByteSeconds))
        }
        text += memory.text + "\n"
        if !report.jobs.isEmpty {
            var jobs = Table([
                ("JOB", .right), ("USER", .left), ("NODE", .left), ("CORE-HOURS", .right), ("USED", .right),
                ("LENT", .right), ("MEM", .right), ("PEAK", .right), ("SERVERLESS", .left),
            ])
            for view in report.jobs {
                let job = view.job
                jobs.add(
                    "\(job.jobID)", userName(job.user), "\(view.node)", hours(job.heldCoreSeconds),
                    job.measured ? hours(job.usedCoreSeconds) : "-", hours(job.lentCoreSeconds), "\(job.memory)",
                    job.measured ? "\(job.peakMemory)" : "-", job.serverless ?? "-")
            }
            text += jobs.text + "\n"
        }
        if !report.leasesEnded.isEmpty {
            let reasons = report.leasesEnded.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            text += "leases ended: " + reasons.joined(separator: ", ") + "\n"
        }
        if let median = report.vacateMedianMicroseconds, let p99 = report.vacateP99Microseconds {
            let promise = p99 <= 10_000 ? "kept" : "MISSED"
            text +=
                "reclaims: \(report.reclaims); vacated in \(decimal(Double(median) / 1000, 2)) ms (median), "
                + "\(decimal(Double(p99) / 1000, 2)) ms (p99); the promise of 10 ms is \(promise)\n"
        }
        return text
    }

    /// Twenty characters that show where a node's core time went.
    private static func bar(used: Double, unused: Double, lent: Double, all: Double) -> String {
        guard all > 0 else { return "" }
        let width = 16.0
        func count(_ part: Double) -> Int { Int((max(0, part) / all * width).rounded()) }
        var bar = String(repeating: "#", count: count(used))
        bar += String(repeating: "+", count: count(lent))
        bar += String(repeating: ":", count: max(0, count(unused)))
        bar = String(bar.prefix(Int(width)))
        return bar + String(repeating: ".", count: Int(width) - bar.count)
    }
}
