import FallowModel
import FallowWire
import Testing

@testable import FallowReporting

private func job(
    _ id: UInt32, cores: Int = 8, cpus: Int = 8, tasks: Int = 1, hours: Double = 1, busy: Double = 8,
    memory: Int64 = 64, peak: Int64 = 60, nodes: Int = 1, array: UInt32? = nil, ended: Bool = true
) -> JobUse {
    let facts = JobFacts(
        jobID: JobID(id), account: "physics", partition: "batch", arrayJobID: array.map { JobID($0) },
        arrayTask: array.map { _ in id }, cpus: cpus, tasks: tasks)
    let start = Timestamp(secondsSinceEpoch: 1_700_000_000)
    return JobUse(
        facts: facts, user: UserID(7), nodes: nodes, runs: 1, cores: cores, memory: .gibibytes(memory),
        peakMemory: .gibibytes(peak), firstSeenAt: start, lastSeenAt: start + .seconds(hours * 3600), ended: ended,
        measured: true, serverless: nil, heldCoreSeconds: Double(cores) * hours * 3600,
        usedCoreSeconds: busy * hours * 3600, lentCoreSeconds: 0, heldByteSeconds: 0, usedByteSeconds: 0,
        lentByteSeconds: 0)
}
private func directives(_ job: JobUse) -> [String] { JobAdvice.advise(job).map(\.directive) }

@Suite struct ReportTextTests {
    @Test func directivesThatFit() {
        #expect(directives(job(1)) == [])
        #expect(directives(job(1, peak: 8)) == ["--mem=10G"])
        #expect(directives(job(1, memory: 2, peak: 0)) == [])
        #expect(directives(job(1, busy: 1.02)) == ["--cpus-per-task=1"])
        #expect(directives(job(1, busy: 1.4)) == ["--cpus-per-task=2"])
        // A core is two CPUs where Slurm counts threads.
        #expect(directives(job(1, cpus: 16, busy: 1.4)) == ["--cpus-per-task=4"])
        #expect(directives(job(1, tasks: 8, busy: 1.4)) == ["--ntasks=2"])
        // Not below a core on each node, and nothing of what ran a moment or runs still.
        #expect(directives(job(1, tasks: 8, busy: 0.1, nodes: 4)) == ["--ntasks=4"])
        #expect(directives(job(1, hours: 0.01, busy: 0.1, peak: 1)) == [])
        #expect(directives(job(1, busy: 0.1, peak: 1, ended: false)) == [])
    }

    @Test func anArrayHasOneLineThatFitsAllItsTasks() {
        var report = CapacityReport(
            cluster: "c", since: .init(secondsSinceEpoch: 0), until: .init(secondsSinceEpoch: 9),
            hoursSince: .init(secondsSinceEpoch: 0), hoursUntil: .init(secondsSinceEpoch: 3600))
        report.jobs = [job(1, peak: 4, array: 90), job(2, peak: 12, array: 90), job(3, peak: 8)]
        #expect(
            ReportNotes.notes(report) == [
                "`--mem=15G` fits array 90: of task 90_2, it held 64 GiB and used 12 GiB at most",
                "`--mem=10G` fits job 3: it held 64 GiB and used 8 GiB at most",
            ])
    }

    @Test func eightyColumnsAndNothingLeftOut() {
        var use = CapacityUse()
        use.coreSeconds = 3.6e9
        use.usedCoreSeconds = 1.8e9
        use.unusedCoreSeconds = 0.9e9
        use.unallocatedCoreSeconds = 0.9e9
        use.byteSeconds = 1e19
        var report = CapacityReport(
            cluster: "a-cluster", since: .init(secondsSinceEpoch: 0), until: .init(secondsSinceEpoch: 2.6e6),
            hoursSince: .init(secondsSinceEpoch: 0), hoursUntil: .init(secondsSinceEpoch: 2.6e6), nodeCount: 10_000,
            cores: 1_280_000, memory: .gibibytes(5_000_000), total: use)
        report.nodes = (0..<20).map {
            .init(node: NodeName("node0\($0)"), cores: 128, memory: .gibibytes(512), use: use)
        }
        report.jobs = [job(4_000_000_001, hours: 100, busy: 1, peak: 4)]
        report.nodeGaps = .init(count: 12, medianSeconds: 41, p90Seconds: 4000, fittingTermSeconds: 9000)
        report.leases = [.init(reason: "reclaimed", count: 3, coreSeconds: 9, usedCoreSeconds: 3)]
        report.reclaims = .init(count: 40, medianMicroseconds: 2_310, p99Microseconds: 14_000, late: 2)
        report.lenders = (0..<9).map { .init(user: UserID($0), coreSeconds: 9e6, byteSeconds: 0) }
        report.losses = [.init(since: report.since, until: report.until, writes: 4, reason: "the disk was full")]
        var text = ReportText(
            userName: { _ in "somebody" }, shareName: { "user\($0.user)" }, localTime: { _ in "2026-03-01T00:00:00" })
        let plain = text.text(report)
        for line in plain.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        let unwrapped = plain.split(separator: "\n").joined(separator: " ").split(separator: " ").joined(separator: " ")
        for word in [
            "1000000", "50.0 %", "held by no job", "and 9980 nodes", "median 41 s, p90 66.7 min", "fits 9 times in 10",
            "3 reclaimed", "MISSED 2 times", "user0 2500.0", "and 4 more", "lost 4 entries",
            "`--mem=5G` fits job 4000000001",
            "2.31 ms", "the disk was full",
        ] { #expect(unwrapped.contains(word), "\(word)") }
        #expect(!plain.contains("\u{1b}"))
        text.color = true
        #expect(text.text(report).contains("\u{1b}[1;31mMISSED"))
    }

    @Test func columnsOfJobs() throws {
        #expect(try JobColumn.parse("+account,peak").suffix(2) == [.account, .peak])
        #expect(try JobColumn.parse("job,Account") == [.job, .account])
        let problem = #expect(throws: ReportTime.Problem.self) { try JobColumn.parse("job,colour") }
        #expect(problem?.description.contains("'colour'") == true && problem?.description.contains("memeff") == true)
        #expect(throws: ReportTime.Problem.self) { try JobColumn.parse("+") }
        #expect(
            JobColumn.parsable([job(3, busy: 2)], [.job, .user, .account, .efficiency, .state]) { _ in "ann" }
                == "JOB|USER|ACCOUNT|CPU-EFF|STATE\n3|ann|physics|25%|ended\n")
    }
}
