internal import FallowModel
public import FallowWire

/// A column of the list of jobs.
public enum JobColumn: String, CaseIterable, Sendable {
    case job, user, account, partition, nodes, runs, cores, cpus, tasks, elapsed, held, used, efficiency, lent, memory
    case peak
    case memoryEfficiency = "memeff"
    case serverless, state

    /// What is shown when nothing is asked for.
    public static let defaults: [JobColumn] = [
        .job, .user, .cores, .elapsed, .held, .efficiency, .lent, .memory, .memoryEfficiency,
    ]

    public var title: String {
        switch self {
        case .held: "CORE-H"
        case .efficiency: "CPU-EFF"
        case .memoryEfficiency: "MEM-EFF"
        default: rawValue.uppercased()
        }
    }
    public var isLeft: Bool {
        [.user, .account, .partition, .serverless, .state].contains(self)
    }

    /// The columns that a `--format` names: `job,user`, or `+account` for the usual ones and these.
    ///
    /// - Throws: `ReportTime.Problem` for a name that there is not.
    public static func parse(_ text: String) throws(ReportTime.Problem) -> [JobColumn] {
        var columns = text.hasPrefix("+") ? defaults : []
        let names = (text.hasPrefix("+") ? text.dropFirst() : text[...]).split(separator: ",")
        for name in names {
            guard let column = JobColumn(rawValue: name.lowercased()) else {
                let all = allCases.map(\.rawValue).joined(separator: ", ")
                throw ReportTime.Problem(description: "--format: there is no column '\(name)'; there are \(all)")
            }
            if !columns.contains(column) { columns.append(column) }
        }
        guard !names.isEmpty else {
            throw ReportTime.Problem(description: "--format names no column; job,user or +account does")
        }
        return columns
    }

    /// A share between 0 and 1 of an efficiency; nil for other columns and where nothing was measured.
    public func share(_ job: JobUse) -> Double? {
        guard job.measured else { return nil }
        switch self {
        case .efficiency: return job.heldCoreSeconds > 0 ? job.usedCoreSeconds / job.heldCoreSeconds : nil
        case .memoryEfficiency:
            return job.memory > .zero ? Double(job.peakMemory.bytes) / Double(job.memory.bytes) : nil
        default: return nil
        }
    }

    /// The cell's text; `-` for what is not known.
    public func text(_ job: JobUse, _ userName: (JobUse) -> String) -> String {
        switch self {
        case .job: return job.facts.name
        case .user: return userName(job)
        case .account: return job.facts.account ?? "-"
        case .partition: return job.facts.partition ?? "-"
        case .nodes: return "\(job.nodes)"
        case .runs: return "\(job.runs)"
        case .cores: return "\(job.cores)"
        case .cpus: return job.facts.cpus > 0 ? "\(job.facts.cpus)" : "-"
        case .tasks: return job.facts.tasks > 0 ? "\(job.facts.tasks)" : "-"
        case .elapsed: return ReportText.span((job.lastSeenAt - job.firstSeenAt).inSeconds)
        case .held: return ReportText.hours(job.heldCoreSeconds)
        case .used: return job.measured ? ReportText.hours(job.usedCoreSeconds) : "-"
        case .efficiency, .memoryEfficiency: return share(job).map { decimal($0 * 100, 0) + "%" } ?? "-"
        case .lent: return ReportText.hours(job.lentCoreSeconds)
        case .memory: return "\(job.memory)"
        case .peak: return job.measured ? "\(job.peakMemory)" : "-"
        case .serverless: return job.serverless ?? "-"
        case .state: return job.ended ? "ended" : "running"
        }
    }

    /// Rows for other programs: a title line, cells between `|`.
    public static func parsable(
        _ jobs: [JobUse], _ columns: [JobColumn], _ userName: (JobUse) -> String
    ) -> String {
        let lines = [columns.map(\.title)] + jobs.map { job in columns.map { $0.text(job, userName) } }
        return lines.map { $0.joined(separator: "|") + "\n" }.joined()
    }
}
