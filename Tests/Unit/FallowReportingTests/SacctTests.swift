import FallowModel
import FallowWire
import Testing

@testable import FallowReporting

private let header = "JobID|User|Account|Partition|State|ElapsedRaw|AllocTRES|NNodes|NTasks|TotalCPU|MaxRSS"

private func read(_ text: String, jobLimit: Int = 20) throws -> SacctSummary {
    var reader = SacctReader(jobLimit: jobLimit)
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) { try reader.take(Array(line.utf8)[...]) }
    return try reader.finish()
}

@Suite struct SacctTests {
    @Test func jobsAndTheirSteps() throws {
        let summary = try read(
            """
            \(header)
            10|ann|physics|batch|COMPLETED|3600|billing=8,cpu=8,mem=64G,node=1|1||02:00:00|
            10.batch||physics||COMPLETED|3600|cpu=8,mem=64G,node=1|1|1|01:59:00|8388608K
            10.extern||physics||COMPLETED|3600|cpu=8|1|1|00:00.001|0
            11_7|bob|bio|batch|TIMEOUT|7200|cpu=2,mem=4000M,node=1|1||1-00:00:00|
            11_[8-9]|bob|bio|batch|PENDING|0||1||00:00:00|
            12|ann|physics|batch|CANCELLED by 0|0||0||00:00:00|
            13|ann|physics|batch|RUNNING|100|cpu=4,mem=4G,node=2|2||00:00:00|
            13.0||physics||RUNNING|100|cpu=4|2|4|05:00|1G
            """)
        #expect(summary.jobs == 3 && summary.jobsWithoutTime == 2 && summary.brokenLines == 0)
        #expect(summary.total.heldCoreSeconds == 8 * 3600 + 2 * 7200 + 400)
        // No job uses more than it holds, whatever Slurm says; a running one is known by its steps.
        #expect(summary.total.usedCoreSeconds == 7200 + 14_400 + 300)
        let held: [Double] = [Double(64 << 30) * 3600, 4000.0 * 1_048_576 * 7200, Double(4 << 30) * 100]
        #expect(summary.total.heldByteSeconds == held.reduce(0, +))
        let first = try #require(summary.worst.first)
        #expect(first.facts.name == "10" && first.peakMemory == .gibibytes(8) && first.facts.tasks == 1)
        #expect(summary.worst.map(\.facts.name) == ["10", "13", "11_7"])
        #expect(summary.worst.first { $0.facts.name == "13" }?.memory == .gibibytes(2))
        let text = summary.text()
        #expect(text.contains("`--mem=10G` fits job 10:") && text.contains("`--cpus-per-task=2` fits job 10:"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test func requeuedRunsCountEach() throws {
        let summary = try read(
            """
            \(header)
            10|ann|a|b|NODE_FAIL|100|cpu=8,node=1|1||00:10|
            10|ann|a|b|COMPLETED|200|cpu=8,node=1|1||00:20|
            """)
        #expect(summary.jobs == 2 && summary.total.heldCoreSeconds == 2400)
    }

    @Test func brokenLinesAreCountedAndNamed() throws {
        let summary = try read(
            """
            \(header)
            10|ann|a|b|COMPLETED|100|cpu=8,node=1|1||00:10|
            |||
            11|ann|a|b|COMPLETED|soon|cpu=8,node=1|1||00:10|
            slurm_load: error
            12|ann|a|b|COMPLETED|99999999999999999999|cpu=8,node=1|1||00:10|
            13|ann|a|b|COMPLETED|100|cpu=8,mem=1e9G,node=1|1||what|
            9.batch||a||COMPLETED|1|cpu=1|1|1|00:01|1K

            """)
        #expect(summary.brokenLines == 4 && summary.firstBrokenLines == [3, 4, 5])
        #expect(summary.jobs == 2 && summary.measuredJobs == 1 && summary.stepsWithoutJob == 1)
        #expect(summary.text().contains("4 of 9 lines could not be read (lines 3, 4, 5, ...)"))
    }

    @Test func whatHasNoColumnsIsRefusedWithTheCommandThatMakesThem() {
        for text in ["", "JobID|State\n1|COMPLETED", "hello"] {
            let error = #expect(throws: ReportTime.Problem.self) { try read(text) }
            #expect(error?.description.contains("sacct -a -P") == true)
        }
    }

    @Test func manyUsersAndJobsStayWithinBounds() throws {
        var reader = SacctReader(jobLimit: 5)
        try reader.take(Array(header.utf8)[...])
        for job in 1...12_000 {
            try reader.take(Array("\(job)|u\(job)|a|b|COMPLETED|\(job)|cpu=2,node=1|1||00:01|".utf8)[...])
        }
        let summary = try reader.finish()
        #expect(summary.jobs == 12_000 && summary.userNames.count == 10_001 && summary.userNames.last == "(others)")
        #expect(summary.worst.map(\.facts.name) == ["12000", "11999", "11998", "11997", "11996"])
    }

    @Test func numbersOfSacct() {
        func bytes(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }
        #expect(SacctFields.span(bytes("2-03:04:05.250")) == 183_845.25)
        #expect(SacctFields.span(bytes("04:05")) == 245)
        #expect(["", "5", "1:2:3:4", "a:b", "1-", "-1:00", "1:2.x"].allSatisfy { SacctFields.span(bytes($0)) == nil })
        #expect(SacctFields.memory(bytes("1.5G")) == 1_610_612_736 && SacctFields.memory(bytes("12")) == 12)
        #expect(["", "K", "1.2.3M", "-1K", "infG"].allSatisfy { SacctFields.memory(bytes($0)) == nil })
    }
}
