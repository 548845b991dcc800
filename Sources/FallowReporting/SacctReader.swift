internal import FallowModel
internal import FallowWire

/// Reads `sacct -P` line by line and adds up what Slurm's accounting alone can tell.
///
/// It holds one job, sums for each user, and the jobs that left most unused, however long the input. Lines that cannot be
/// used are counted; the first few are remembered by their numbers.
public struct SacctReader: Sendable {
    /// The columns to ask for.
    public static let command =
        "sacct -a -P -D --units=K -S 2026-03-01 -E now"
        + " -o JobID,User,Account,Partition,State,ElapsedRaw,AllocTRES,NNodes,NTasks,TotalCPU,MaxRSS"

    public private(set) var summary = SacctSummary()
    private var columns: [String: Int] = [:]
    private var width = 0
    private var users: [String: UserID] = [:]
    private var current: Job?
    private let jobLimit: Int
    /// Users by themselves; all others are one.
    private static let userLimit = 10_000

    private struct Job: Sendable {
        var id: [UInt8]
        var use: JobUse
        var totalCPU: Double?
        var stepCPU = 0.0
    }

    public init(jobLimit: Int = 20) { self.jobLimit = jobLimit }

    /// Takes the next line, without its newline.
    ///
    /// - Throws: `ReportTime.Problem`: the first line names no columns, or not those that are needed.
    public mutating func take(_ line: ArraySlice<UInt8>) throws(ReportTime.Problem) {
        summary.lines += 1
        if columns.isEmpty { return try takeHeader(line) }
        guard !line.isEmpty else { return }
        let fields = line.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        guard fields.count == width, let id = field("JobID", fields), isID(id) else { return broken() }
        if let dot = id.firstIndex(of: UInt8(ascii: ".")) {
            takeStep(of: id[..<dot], fields)
        } else {
            finishJob()
            takeJob(id, fields)
        }
    }

    /// The input is over.
    public mutating func finish() throws(ReportTime.Problem) -> SacctSummary {
        guard !columns.isEmpty else {
            throw ReportTime.Problem(description: "the input is empty; this makes it: \(Self.command)")
        }
        finishJob()
        return summary
    }

    private mutating func takeHeader(_ line: ArraySlice<UInt8>) throws(ReportTime.Problem) {
        let names = String(decoding: line, as: UTF8.self).split(separator: "|", omittingEmptySubsequences: false)
        width = names.count
        for (index, name) in names.enumerated() { columns[String(name)] = index }
        var missing = ["JobID", "State"].filter { columns[$0] == nil }
        if columns["ElapsedRaw"] == nil, columns["Elapsed"] == nil { missing.append("ElapsedRaw") }
        if columns["AllocTRES"] == nil, columns["AllocCPUS"] == nil { missing.append("AllocTRES") }
        guard missing.isEmpty else {
            throw ReportTime.Problem(
                description:
                    "the first line names no column \(missing.joined(separator: ", ")); this makes one that fits: "
                    + Self.command)
        }
        summary.hasUse = columns["TotalCPU"] != nil
        summary.hasPeak = columns["MaxRSS"] != nil
    }

    private func field(_ name: String, _ fields: [ArraySlice<UInt8>]) -> ArraySlice<UInt8>? {
        columns[name].map { fields[$0] }
    }
    private func isID(_ id: ArraySlice<UInt8>) -> Bool { id.first.map { $0 >= 0x30 && $0 <= 0x39 } ?? false }
    private mutating func broken() {
        summary.brokenLines += 1
        if summary.firstBrokenLines.count < 3 { summary.firstBrokenLines.append(summary.lines) }
    }

    private mutating func takeJob(_ id: ArraySlice<UInt8>, _ fields: [ArraySlice<UInt8>]) {
        let elapsed =
            field("ElapsedRaw", fields).map { SacctFields.whole($0).map(Double.init) }
            ?? field("Elapsed", fields).map { SacctFields.span($0) } ?? nil
        guard let elapsed, elapsed <= 1e9 else { return broken() }
        let resources = field("AllocTRES", fields) ?? []
        let cpus =
            SacctFields.resource("cpu", in: resources).flatMap(SacctFields.whole)
            ?? field("AllocCPUS", fields).flatMap(SacctFields.whole) ?? 0
        // Pending, or cancelled before it began: it held nothing.
        guard elapsed > 0, cpus > 0 else {
            summary.jobsWithoutTime += 1
            return
        }
        guard cpus <= 100_000_000 else { return broken() }
        let nodes = max(1, field("NNodes", fields).flatMap(SacctFields.whole) ?? 1)
        let memory = SacctFields.resource("mem", in: resources).flatMap(SacctFields.memory) ?? 0
        guard nodes <= 1_000_000, memory < 1e18 else { return broken() }
        var facts = JobFacts(jobID: JobID(0), cpus: Int(cpus))
        facts.account = field("Account", fields).flatMap(text)
        facts.partition = field("Partition", fields).flatMap(text)
        name(&facts, id)
        let state = field("State", fields) ?? []
        let isRunning = state.starts(with: "RUNNING".utf8) || state.starts(with: "SUSPENDED".utf8)
        let end = Timestamp(secondsSinceEpoch: elapsed)
        current = Job(
            id: Array(id),
            use: JobUse(
                facts: facts, user: user(field("User", fields).flatMap(text) ?? "?"), nodes: Int(nodes), runs: 1,
                cores: Int(cpus), memory: ByteCount(Int64(memory / Double(nodes))), peakMemory: .zero,
                firstSeenAt: Timestamp(nanosecondsSinceEpoch: 0), lastSeenAt: end, ended: !isRunning, measured: false,
                serverless: nil, heldCoreSeconds: elapsed * Double(cpus), usedCoreSeconds: 0, lentCoreSeconds: 0,
                heldByteSeconds: elapsed * memory, usedByteSeconds: 0, lentByteSeconds: 0),
            totalCPU: field("TotalCPU", fields).flatMap(SacctFields.span))
        takePeak(fields)
    }

    /// `123`, `123_4`, `123+1`: the number, and the array's task.
    private func name(_ facts: inout JobFacts, _ id: ArraySlice<UInt8>) {
        let head = id.prefix { $0 >= 0x30 && $0 <= 0x39 }
        let number = JobID(UInt32(truncatingIfNeeded: SacctFields.whole(head) ?? 0))
        facts.jobID = number
        let rest = id[head.endIndex...]
        if rest.first == UInt8(ascii: "_"), let task = SacctFields.whole(rest.dropFirst()) {
            facts.arrayJobID = number
            facts.arrayTask = UInt32(truncatingIfNeeded: task)
        }
    }

    private mutating func takeStep(of id: ArraySlice<UInt8>, _ fields: [ArraySlice<UInt8>]) {
        guard let job = current, job.id.elementsEqual(id) else {
            summary.stepsWithoutJob += 1
            return
        }
        if let cpu = field("TotalCPU", fields).flatMap(SacctFields.span) { current?.stepCPU += cpu }
        if let tasks = field("NTasks", fields).flatMap(SacctFields.whole), tasks <= 10_000_000 {
            current?.use.facts.tasks = max(job.use.facts.tasks, Int(tasks))
        }
        takePeak(fields)
    }

    /// MaxRSS is that of the largest task: the least that a node needed.
    private mutating func takePeak(_ fields: [ArraySlice<UInt8>]) {
        guard let peak = field("MaxRSS", fields).flatMap(SacctFields.memory), peak > 0, peak < 1e18,
            let known = current?.use.peakMemory
        else { return }
        current?.use.peakMemory = max(known, ByteCount(Int64(peak)))
    }

    private mutating func finishJob() {
        guard var job = current else { return }
        current = nil
        // Slurm sums the steps up when they end; of a job that runs, the steps know more.
        let cpu = max(job.totalCPU ?? 0, job.stepCPU)
        job.use.measured = summary.hasUse && cpu > 0
        job.use.usedCoreSeconds = min(cpu, job.use.heldCoreSeconds)
        summary.add(job.use, jobLimit: jobLimit)
    }

    private func text(_ field: ArraySlice<UInt8>) -> String? {
        field.isEmpty ? nil : String(decoding: field, as: UTF8.self)
    }

    private mutating func user(_ name: String) -> UserID {
        if let user = users[name] { return user }
        let user = UserID(UInt32(users.count))
        guard users.count < Self.userLimit else {
            if summary.userNames.count == users.count { summary.userNames.append("(others)") }
            return user
        }
        users[name] = user
        summary.userNames.append(name)
        return user
    }
}
