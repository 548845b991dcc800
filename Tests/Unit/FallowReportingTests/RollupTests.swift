import FallowModel
import FallowWire
import Testing

@testable import FallowReporting

private let t0 = Timestamp(secondsSinceEpoch: 1_700_000_000)

private func report(
    at seconds: Double, instance: UInt64 = 1, startedAt: Double = 0, cores: Int = 8, allocated: Double = 0,
    used: Double = 0, jobs: [JobReport] = []
) -> NodeReport {
    NodeReport(
        node: NodeName("n"), agentURL: "http://n", version: "t", instance: instance, sequence: 1,
        at: t0 + .seconds(seconds), instanceStartedAt: t0 + .seconds(startedAt), cores: cores,
        memory: .gibibytes(16), offer: Offer(), withheldReason: nil, switches: LendingSwitches(),
        integrals: NodeIntegrals(
            elapsedSeconds: seconds - startedAt, allocatedCoreSeconds: allocated, usedCoreSeconds: used),
        jobs: jobs, leases: [], ended: [], reclaims: [])
}

private func job(_ id: UInt32, cores: ClosedRange<Int>, from: Double, to: Double? = nil) -> JobReport {
    JobReport(
        jobID: JobID(id), user: UserID(1), cores: AbstractCoreSet(cores), memory: .gibibytes(1),
        firstSeenAt: t0 + .seconds(from), endedAt: to.map { t0 + .seconds($0) })
}

@Suite struct RollupTests {
    @Test func stepsSurviveTheirCoding() throws {
        var random = SystemRandomNumberGenerator()
        for count in [0, 1, 24, 60] {
            let steps = (0..<count).map { index -> NodeUse in
                var use = NodeUse()
                use[.capacity] = 48_000
                for field in [NodeUse.Field.used, .memoryUsed] { use[field] = .random(in: 0...1 << 40, using: &random) }
                if index % 7 == 0 { use[.lent] = .max }
                if index % 11 == 0 { use[.recovered] = .min }
                return use
            }
            let bytes = StepsCoding.encode(steps)
            #expect(bytes.withUnsafeBytes { StepsCoding.decode($0, count: count) } == steps)
            // What is cut off or goes on is no such chunk.
            #expect((bytes + [0]).withUnsafeBytes { StepsCoding.decode($0, count: count) } == nil)
            if !bytes.isEmpty {
                #expect(bytes.dropLast().withUnsafeBytes { StepsCoding.decode($0, count: count) } == nil)
            }
        }
        #expect([UInt8](repeating: 0xff, count: 99).withUnsafeBytes { StepsCoding.decode($0, count: 60) } == nil)
    }

    @Test func aSteadyHourIsSmall() {
        var use = NodeUse()
        for field in NodeUse.Field.allCases { use[field] = 12_800_000 }
        #expect(StepsCoding.encode([NodeUse](repeating: use, count: 60)).count < 80)
    }

    @Test func growthIsLaidOutExactly() {
        var use = NodeUse()
        use[.used] = 1_000_003
        use[.memoryUsed] = 7
        let growth = NodeAccount.Growth(use: use, from: t0 + .milliseconds(3_300), to: t0 + .milliseconds(7_203_100))
        for every in [10, 60, 3600] as [Int64] {
            let parts = Spread.parts(growth, every: every)
            #expect(parts.reduce(NodeUse()) { $0 + $1.use } == use)
            #expect(parts.allSatisfy { $0.second % every == 0 && $0.use[.used] >= 0 })
        }
        // In proportion to time: of 7199.8 s the first whole hour's step has its share.
        let hours = Spread.parts(growth, every: 3600)
        #expect(hours.count == 3)
        let share: Double = 1_000_003 * 3600 / 7199.8
        #expect(abs(Double(hours[1].use[.used]) - share) < 2)
        // A clock that stands still, or goes back, loses nothing.
        let none = NodeAccount.Growth(use: use, from: t0, to: t0)
        #expect(Spread.parts(none, every: 10).map(\.use) == [use])
    }

    @Test func levelsAgreeAndEdgesCountByTheirShare() {
        var minutes = [NodeUse](repeating: NodeUse(), count: 60)
        for index in minutes.indices { minutes[index][.used] = Int64(index) * 60 }
        let start: Int64 = 7200 * 1_000_000_000
        #expect(Level.minutes.sum(minutes, chunk: 2, from: start, to: start * 2)[.used] == 59 * 60 / 2 * 60)
        // From 10:30 into the hour to 12:15: half of minute 10, minute 11, a quarter of minute 12.
        let part = Level.minutes.sum(
            minutes, chunk: 2, from: start + 630 * 1_000_000_000, to: start + 735 * 1_000_000_000)
        #expect(part[.used] == 300 + 660 + 180)
        #expect(Level.hours.chunk(at: 86_399) == 0 && Level.hours.step(at: 86_399) == 23)
        #expect(Level.raw.chunk(at: 86_400) == 144 && Level.raw.chunk(at: -1) == -1)
    }

    @Test func repeatedLostAndLateReports() throws {
        var (account, first) = NodeAccount.open(report(at: 10, used: 40), at: t0 + .seconds(10), isDown: false)
        #expect(first.use[.used] == 4_000 && first.use[.capacity] == 8_000)
        #expect(first.from == t0 && first.to == t0 + .seconds(10))
        // Lost: the next holds both. Repeated: nothing more.
        let both = account.take(report(at: 100, used: 400), at: t0 + .seconds(100), isDown: false)
        let second = try #require(both)
        #expect(second.use[.used] == 36_000 && second.from == t0 + .seconds(10))
        let again = account.take(report(at: 100, used: 400), at: t0 + .seconds(101), isDown: false)
        #expect(again?.use.isZero == true)
        let late = account.take(report(at: 50, used: 200), at: t0 + .seconds(102), isDown: false)
        #expect(late == nil)
        // A new run counts from nothing, from its start on; the old one is not heard any more.
        let run = report(at: 230, instance: 2, startedAt: 200, used: 9)
        let taken = account.take(run, at: t0 + .seconds(230), isDown: false)
        let restarted = try #require(taken)
        #expect(restarted.use[.used] == 900 && restarted.use[.capacity] == 24_000)
        #expect(restarted.from == t0 + .seconds(200))
        let gone = account.take(report(at: 240, used: 999), at: t0 + .seconds(240), isDown: false)
        #expect(gone == nil)
        // Thirds of a hundredth add up to what there is.
        var sum: Int64 = 900
        for index in 1...300 {
            let used = 9 + Double(index) / 300
            let grown = account.take(
                report(at: 230 + Double(index), instance: 2, startedAt: 200, used: used),
                at: t0 + .seconds(230 + index), isDown: false)
            sum += grown?.use[.used] ?? 0
        }
        #expect(sum == 1_000)
    }

    @Test func downIsOnlyWhatNoJobHolds() throws {
        var (account, _) = NodeAccount.open(report(at: 10), at: t0 + .seconds(10), isDown: false)
        let idle = account.take(report(at: 20), at: t0 + .seconds(20), isDown: true)
        let drained = try #require(idle)
        #expect(drained.use[.down] == 8_000 && drained.use[.capacity] == 0 && drained.use[.memoryCapacity] == 0)
        // Draining with a job on it: the job's node still works.
        let busy = account.take(report(at: 30, allocated: 40), at: t0 + .seconds(30), isDown: true)
        let draining = try #require(busy)
        #expect(draining.use[.down] == 0 && draining.use[.capacity] == 8_000 && draining.use[.allocated] == 4_000)
    }

    @Test func thePartsOfCapacityAddUp() {
        var use = NodeUse()
        use[.capacity] = 80_000
        use[.down] = 8_000
        use[.allocated] = 30_000
        use[.used] = 10_000
        use[.lent] = 5_000
        let parts = CapacityUse(use, cores: 8, seconds: 130)
        #expect(parts.coreSeconds == 1040 && parts.downCoreSeconds == 80 && parts.unwatchedCoreSeconds == 160)
        #expect(parts.usedCoreSeconds == 100 && parts.unusedCoreSeconds == 200 && parts.unallocatedCoreSeconds == 500)
        // A hair more used than held is no negative rest, and a node that had more cores has them still.
        use[.used] = 30_010
        let odd = CapacityUse(use, cores: 1, seconds: 130)
        #expect(odd.unusedCoreSeconds == 0 && odd.unwatchedCoreSeconds == 0 && odd.coreSeconds == 880)
        let sum =
            odd.usedCoreSeconds + odd.unusedCoreSeconds + odd.unallocatedCoreSeconds + odd.downCoreSeconds
            + odd.unwatchedCoreSeconds
        #expect(abs(sum - odd.coreSeconds) < 1e-9)
    }

    @Test func gapsOfTheNodeAndOfSomeCores() throws {
        var (account, _) = NodeAccount.open(report(at: 0), at: t0, isDown: false)
        func take(_ at: Double, _ jobs: [JobReport], isDown: Bool = false, instance: UInt64 = 1) -> [NodeAccount.Gap] {
            account.take(
                report(at: at, instance: instance, startedAt: instance == 1 ? 0 : at, jobs: jobs),
                at: t0 + .seconds(at), isDown: isDown)?.endedGaps ?? []
        }
        // A job on part of the node ends the node's gap, one second before it was reported; cores are still free.
        #expect(take(61, [job(1, cores: 0...3, from: 60)]) == [.node(seconds: 60)])
        // An array's second task, and the node is full.
        let both = [job(1, cores: 0...3, from: 60), job(2, cores: 4...7, from: 100)]
        #expect(take(101, both) == [.cores(seconds: 100)])
        // Suspended or not, they hold what they hold. One ends, is requeued at once: a gap of 5 s.
        let requeued = [
            job(1, cores: 0...3, from: 60), job(2, cores: 4...7, from: 100, to: 200), job(2, cores: 4...7, from: 205),
        ]
        #expect(take(202, Array(requeued.prefix(2))) == [])
        #expect(take(206, [requeued[0], requeued[2]]) == [.cores(seconds: 5)])
        // A gap that was not watched from end to end, or lay on a drained node, is none.
        #expect(take(300, []) == [])
        #expect(take(310, [], isDown: true) == [])
        #expect(take(320, [job(3, cores: 0...7, from: 320)]) == [])
        #expect(take(330, []) == [])
        #expect(take(340, [job(4, cores: 0...7, from: 340)], instance: 2) == [])
    }

    @Test func quantilesAndTheTermThatFits() throws {
        var tally = Tally()
        #expect(tally.quantile(0.5) == nil && tally.fittingTerm() == nil)
        for _ in 0..<90 { tally.add(60) }
        for _ in 0..<10 { tally.add(3600) }
        #expect(tally.count == 100 && tally.quantile(0.5) == 60 && tally.quantile(0.9) == 60)
        #expect(try #require(tally.quantile(0.99)) == 3600)
        // Idle time is 5,400 s in short gaps and 36,000 s in long ones. With a term of t < 60, 100 t s of 41,400 s do not fit;
        // a tenth, 4,140 s, is reached at 41.4 s.
        #expect(abs(try #require(tally.fittingTerm()) - 41.4) < 0.1)
        var one = Tally()
        one.add(100)
        #expect(abs(try #require(one.fittingTerm()) - 10) < 0.01)
        // Tallies of hours add up to the tally of all, and no value is outside of the buckets.
        var sum = Tally()
        for (bucket, content) in tally.buckets { sum.add(bucket: bucket, content) }
        #expect(sum == tally)
        #expect(Tally.bucket(of: 0) == 0 && Tally.bucket(of: .infinity) == 208 && Tally.bucket(of: 1.05) == 1)
    }
}
