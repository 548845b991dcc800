import FallowModel
import FallowReporting
import FallowWire
import GRDB

@testable import FallowHistory

/// Writes a history as agents would have made it: nodes of 128 cores and 512 GiB, jobs that come and go, use that trembles.
struct Generator {
    let nodes: Int
    let days: Int
    /// Runs of jobs for each node and day, rows of `job_runs`.
    let jobsPerNodeDay = 12
    let leasesPerNodeDay = 5
    static let cores = 128
    private var random: UInt64 = 0x9e37_79b9_7f4a_7c15
    /// The first day, since 1970.
    let firstDay: Int64
    /// Minutes since 1970 from which on nothing is known; nil: the last day is whole.
    let endMinute: Int64?

    init(nodes: Int, days: Int) {
        self.nodes = nodes
        self.days = days
        firstDay = 20_500
        endMinute = nil
    }

    /// A history that ends at a moment, for pictures: quiet at night and on weekends, and lending when there is room.
    init(nodes: Int, days: Int, until: Timestamp) {
        self.nodes = nodes
        self.days = days
        let minute = until.nanosecondsSinceEpoch / 60_000_000_000
        endMinute = minute
        firstDay = minute / 1440 - Int64(days) + 1
    }

    private struct Node {
        var held = 0
        var busyPercent: UInt64 = 80
        var memoryMebibytes: Int64 = 0
        var minutesLeft = 0
    }

    private func isToCome(_ nanoseconds: Int64) -> Bool {
        endMinute.map { nanoseconds / 60_000_000_000 >= $0 } ?? false
    }

    /// Repeatable, and quick.
    private mutating func next(_ below: UInt64) -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random % below
    }

    mutating func run(_ history: History, progress: (String) -> Void) throws {
        try history.write { db in
            for node in 1...nodes {
                try db.execute(
                    sql: "INSERT INTO nodes (id, name, cores, memory, partitions, first_at) VALUES (?, ?, ?, ?, ?, ?)",
                    arguments: [
                        node, "node\(node)", Self.cores, Int64(512) << 30, node % 10 == 0 ? "batch,big" : "batch",
                        firstDay * 86_400_000_000_000,
                    ])
            }
        }
        var states = [Node](repeating: Node(), count: nodes)
        for day in 0..<days {
            try history.write { db in
                try writeDay(db, firstDay + Int64(day), &states, withRaw: day == days - 1)
                try writeJobs(db, firstDay + Int64(day))
                try writeLeases(db, firstDay + Int64(day))
            }
            progress("day \(day + 1) of \(days)")
        }
    }

    private mutating func writeDay(_ db: Database, _ day: Int64, _ states: inout [Node], withRaw: Bool) throws {
        let marks = Schema.useColumns.map { _ in "?" }.joined(separator: ", ")
        func statement(_ level: Level) throws -> Statement {
            try db.cachedStatement(sql: "INSERT INTO \(Schema.table(level)) VALUES (?, \(marks), ?)")
        }
        let (minutes, hours, raw) = (try statement(.minutes), try statement(.hours), try statement(.raw))
        var sums = [[NodeUse]](repeating: [], count: nodes)
        for hour in 0..<24 as Range<Int64> {
            var rawChunks = [[(key: Int64, steps: [NodeUse])]](repeating: [], count: 6)
            for node in 0..<nodes {
                var steps: [NodeUse] = []
                steps.reserveCapacity(60)
                for minute in 0..<60 as Range<Int64> {
                    let at = (day * 24 + hour) * 60 + minute
                    if let endMinute, at >= endMinute {
                        steps.append(NodeUse())
                    } else {
                        steps.append(endMinute == nil ? self.minute(&states[node]) : lively(&states[node], at, node))
                    }
                }
                let key = UsageChunks.key(chunk: day * 24 + hour, node: Int64(node + 1))
                try UsageChunks.write(minutes, key: key, steps)
                sums[node].append(steps.reduce(NodeUse(), +))
                guard withRaw else { continue }
                for tenth in 0..<6 {
                    var fine: [NodeUse] = []
                    for step in steps[(tenth * 10)..<(tenth * 10 + 10)] {
                        for part in 0..<6 as Range<Int64> {
                            var use = step.scaled(part + 1, of: 6) - step.scaled(part, of: 6)
                            if use[.used] > 0 { use[.used] += Int64(next(200)) }
                            fine.append(use)
                        }
                    }
                    let chunk = (day * 24 + hour) * 6 + Int64(tenth)
                    rawChunks[tenth].append((UsageChunks.key(chunk: chunk, node: Int64(node + 1)), fine))
                }
            }
            for chunks in rawChunks { for chunk in chunks { try UsageChunks.write(raw, key: chunk.key, chunk.steps) } }
        }
        for node in 0..<nodes {
            try UsageChunks.write(hours, key: UsageChunks.key(chunk: day, node: Int64(node + 1)), sums[node])
        }
    }

    /// A minute of a node, in whole units.
    private mutating func minute(_ node: inout Node) -> NodeUse {
        if node.minutesLeft == 0 {
            node.minutesLeft = Int(5 + next(60))
            node.held = next(12) == 0 ? 0 : Int(next(UInt64(Self.cores)) + 1)
            node.busyPercent = 40 + next(60)
            node.memoryMebibytes = Int64(next(400_000))
        }
        node.minutesLeft -= 1
        var use = NodeUse()
        use[.capacity] = Int64(Self.cores) * 6_000
        use[.memoryCapacity] = 524_288 * 60
        guard node.held > 0 else { return use }
        use[.allocated] = Int64(node.held) * 6_000
        use[.used] = use[.allocated] * Int64(node.busyPercent) / 100 * Int64(990 + next(11)) / 1_000
        use[.memoryAllocated] = 60 * min(524_288, node.memoryMebibytes * 3 / 2)
        use[.memoryUsed] = min(use[.memoryAllocated], 60 * node.memoryMebibytes + Int64(next(60_000)))
        if node.held < Self.cores / 2, next(20) == 0 {
            use[.lent] = 6_000 * 8
            use[.recovered] = 6_000 * 6
        }
        return use
    }

    /// As `minute`, with a rhythm: more of it lies idle at night and on weekends, and what does is lent.
    private mutating func lively(_ node: inout Node, _ at: Int64, _ index: Int) -> NodeUse {
        let (hour, weekday) = (at / 60 % 24, (at / 1440 + 4) % 7)
        let isQuiet = hour < 7 || hour > 20 || weekday == 0 || weekday == 6
        if node.minutesLeft == 0, next(isQuiet ? 3 : 9) == 0 {
            (node.held, node.minutesLeft) = (0, Int(5 + next(isQuiet ? 240 : 40)))
        } else if node.minutesLeft == 0 {
            (node.held, node.minutesLeft) = (Int(96 + next(33)), Int(20 + next(400)))
            node.busyPercent = 45 + next(55)
            node.memoryMebibytes = Int64(next(400_000))
        }
        let left = node.minutesLeft
        var use = minute(&node)
        let white = use[.capacity] - use[.used]
        // Some nodes lend all the time, none in its first minutes of a gap.
        if index % 3 != 0, left > 3, white > 6_000 * 8 {
            use[.lent] = white * Int64(55 + next(10)) / 100
            use[.recovered] = use[.lent] * Int64(80 + next(8)) / 100
        }
        return use
    }

    private mutating func writeJobs(_ db: Database, _ day: Int64) throws {
        for node in 1...Int64(nodes) {
            for _ in 0..<jobsPerNodeDay {
                let number = UInt32(truncatingIfNeeded: (day - firstDay) * 10_000_000 + Int64(next(10_000_000)) + 1)
                let cores = Int(next(64)) + 1
                let seconds = Double(next(20_000) + 60)
                let end = Timestamp(nanosecondsSinceEpoch: (day * 86_400 + Int64(next(86_400))) * 1_000_000_000)
                if isToCome(end.nanosecondsSinceEpoch) { continue }
                let held = Double(cores) * seconds
                let user = UserID(UInt32(1000 + number % 500))
                let job = JobReport(
                    jobID: JobID(number), user: user, cores: AbstractCoreSet(0...cores - 1),
                    memory: .gibibytes(Int64(cores) * 4), firstSeenAt: end + .seconds(-seconds), endedAt: end,
                    measured: true, heldCoreSeconds: held, usedCoreSeconds: held * Double(next(100)) / 100,
                    lentCoreSeconds: 0, heldByteSeconds: held * Double(4 << 30),
                    usedByteSeconds: held * Double(1 << 30), lentByteSeconds: 0,
                    peakMemory: .gibibytes(Int64(cores)))
                let facts = JobFacts(
                    jobID: job.jobID, account: "account\(number % 100)", partition: number % 10 == 0 ? "big" : "batch",
                    cpus: cores, tasks: 1)
                try JobRow(job: job, facts: facts, lastSeenAt: end).save(db, node: node)
            }
        }
        for hour in day * 24..<day * 24 + 24 {
            for user in 0..<500 as Range<UInt32> {
                var use = NodeUse()
                use[.allocated] = Int64(next(1_000_000_000))
                use[.used] = use[.allocated] / 2
                use[.lent] = user % 7 == 0 ? use[.allocated] / 50 : 0
                try History.add(
                    use,
                    to: .init(
                        hour: hour, user: UserID(1000 + user), account: "account\(user % 100)",
                        partition: user % 10 == 0 ? "big" : "batch"), db)
            }
            for kind in [TallyKind.nodeGapSeconds, .coreGapSeconds, .vacateMicroseconds] {
                for bucket in 0..<80 {
                    var count = Int64(next(90))
                    var length = Double(bucket * bucket)
                    if endMinute != nil {
                        // Most gaps are some minutes long; most vacates take some milliseconds.
                        let away = Double(bucket - (kind == .vacateMicroseconds ? 70 : 62)) / 9
                        count = Int64(Double(count) / 12 / (1 + away * away * away * away))
                        length = (0..<bucket).reduce(0.95) { length, _ in length * 1.1 }
                    }
                    try History.add(
                        Tally.Bucket(count: count, sum: Double(count) * length),
                        to: .init(hour: hour, kind: kind, bucket: bucket), db)
                }
            }
        }
    }

    private mutating func writeLeases(_ db: Database, _ day: Int64) throws {
        let insert = try db.cachedStatement(
            sql: "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, 'functions')")
        for node in 1...nodes {
            for _ in 0..<leasesPerNodeDay {
                let start = (day * 86_400 + Int64(next(86_000))) * 1_000_000_000
                let id = LeaseID(next(.max))
                if isToCome(start + 200_000_000_000) { continue }
                try insert.execute(
                    arguments: [
                        id.description, Int64(next(1 << 60)), Int64(1000 + next(300)), "node\(node)",
                        "node\(1 + next(UInt64(nodes)))", 8, Int64(1) << 30, "libfunctions.so", start,
                        start + 300_000_000_000, start, start + 200_000_000_000,
                        next(4) == 0 ? "reclaimed" : "released", 900.0,
                    ])
            }
        }
        for hour in day * 24..<day * 24 + 24 {
            for user in 1000..<1300 {
                try db.execute(
                    sql: "INSERT INTO lease_hours VALUES (?, ?, ?, ?, ?, ?, ?)",
                    arguments: [hour, user, try JobRow.word("released", db), 6, 9600.0, 5400.0, 1e12])
            }
        }
    }
}
