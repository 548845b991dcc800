internal import ArgumentParser
internal import FallowModel
internal import FallowReporting
internal import FallowWire
internal import Glibc

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Where capacity went: used, allocated but unused, unallocated, lent.")
    @OptionGroup var common: CommonOptions
    @Option(help: "From when on: d=7, 12h, 2026-03-01, 2026-03-01T12:30 (default: the last day).")
    var since: String?
    @Option(help: "Until when (default: now).")
    var until: String?
    @Option(name: [.short, .long], help: "A partition: its nodes and jobs.")
    var partition: String?
    @Option(name: [.customShort("A"), .long], help: "An account: its jobs.")
    var account: String?
    @Option(name: [.short, .long], help: "A user, by name or uid: their jobs.")
    var user: String?
    @Option(name: [.short, .long], help: "Nodes, between commas.")
    var nodes: String?
    @Option(name: [.short, .long], help: "A job, or an array by its id.")
    var job: UInt32?
    @Flag(name: [.customShort("P"), .long], help: "Jobs alone, with | between the columns.")
    var parsable = false
    @Option(help: "Columns of the list of jobs: job,user,peak; or +account for the usual ones and this.")
    var format: String?
    @Option(help: "How many jobs are listed (default: 20; with --parsable 10000).")
    var jobs: Int?
    @Option(help: "Report from the output of sacct instead (- for standard input).")
    var fromSacct: String?

    func run() async throws {
        let columns = try format.map { text in
            try checked { () throws(ReportTime.Problem) in try JobColumn.parse(text) }
        }
        if let fromSacct {
            return try SacctRun(path: fromSacct, json: common.json, columns: columns, jobLimit: jobs ?? 20).run()
        }
        let report = try await common.get(try path(), CapacityReport.self)
        if parsable, !common.json {
            return print(JobColumn.parsable(report.jobs, columns ?? JobColumn.defaults, Self.name), terminator: "")
        }
        var text = ReportText(
            color: isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == nil, userName: Self.name,
            shareName: { userName($0.user) }, localTime: { $0.localText })
        if let columns { text.columns = columns }
        try common.show(report) { text.text($0) }
    }

    private func path() throws -> String {
        let now = Timestamp.current()
        func moment(_ option: String, _ text: String?) throws -> Timestamp? {
            guard let text else { return nil }
            do throws(ReportTime.Problem) {
                return try ReportTime.parse(text, now: now, offset: localOffset)
            } catch { throw ValidationError("--\(option): \(error)") }
        }
        let end = try moment("until", until)
        let start = try moment("since", since)
        if let start, start > end ?? now {
            throw ValidationError("--since \(since ?? "") is \(start.localText), after \((end ?? now).localText)")
        }
        var items: [(String, String)] = []
        if let start { items.append(("since", "\(start.secondsSinceEpoch)")) }
        if let end { items.append(("until", "\(end.secondsSinceEpoch)")) }
        if let partition { items.append(("partition", partition)) }
        if let account { items.append(("account", account)) }
        if let user { items.append(("user", "\(try Self.uid(user))")) }
        if let nodes { items.append(("nodes", nodes)) }
        if let job {
            items.append(("job", "\(job)"))
            // A job is asked for by itself: it may have ended long ago.
            if start == nil { items.append(("since", "0")) }
        }
        items.append(("jobs", "\(jobs ?? (parsable ? 10_000 : 20))"))
        return "/v1/report?" + items.map { "\($0.0)=\(Self.escaped($0.1))" }.joined(separator: "&")
    }

    private func checked<Value>(_ body: () throws(ReportTime.Problem) -> Value) throws -> Value {
        do throws(ReportTime.Problem) { return try body() } catch { throw ValidationError(error.description) }
    }

    private static func name(_ job: JobUse) -> String { userName(job.user) }

    private static func uid(_ text: String) throws -> UInt32 {
        if let number = UInt32(text) { return number }
        guard let entry = getpwnam(text) else { throw ValidationError("--user: there is no user '\(text)' here") }
        return entry.pointee.pw_uid
    }

    /// Everything but letters, digits and a few signs as `%XX`.
    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            let plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,".utf8.contains(byte)
            let digits = Array("0123456789ABCDEF")
            return plain ? String(UnicodeScalar(byte)) : "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }.joined()
    }
}

/// By how many seconds local clocks are ahead of UTC at a second since 1970.
func localOffset(_ second: Int64) -> Int64 {
    var time = time_t(second)
    var parts = tm()
    localtime_r(&time, &parts)
    return Int64(parts.tm_gmtoff)
}
