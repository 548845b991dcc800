internal import FallowModel
internal import FallowReporting
public import FallowWire
internal import GRDB

extension History {
    /// Capacity over a time: of nodes, jobs, leases, gaps and reclaims.
    ///
    /// Of a job that is listed the whole use is given, also where it began earlier.
    public func capacityReport(_ query: ReportQuery) throws(HistoryError) -> CapacityReport {
        try read { db in
            let hours = query.hours
            func time(_ hour: Int64) -> Timestamp { Self.time(hour * 3_600_000_000_000) }
            var report = CapacityReport(
                cluster: query.cluster, since: query.since, until: query.until, hoursSince: time(hours.lowerBound),
                hoursUntil: time(hours.upperBound))
            if !query.isOfJobs { try Self.addCapacity(&report, query, db) }
            if !query.isOfOthers {
                try Self.addJobs(&report, query, db)
                try Self.addShares(&report, query, db)
            }
            try Self.addCounts(&report, query, db)
            return report
        }
    }

    private static func addCapacity(_ report: inout CapacityReport, _ query: ReportQuery, _ db: Database) throws {
        struct Known {
            var name: NodeName
            var cores: Int
            var memory: ByteCount
            var first: Int64
            var last: Int64
        }
        var known: [Int64: Known] = [:]
        let wanted = Set(query.nodes)
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT id, name, cores, memory, first_at, partitions, at FROM nodes
                LEFT JOIN node_accounts ON node = id
                """)
        while let row = try rows.next() {
            let name = NodeName(row[1])
            guard wanted.isEmpty || wanted.contains(name) else { continue }
            if let partition = query.partition {
                let all = (row[5] as String).split(separator: ",")
                guard all.contains(where: { $0 == partition }) else { continue }
            }
            let first: Int64 = row[4]
            known[row[0]] = Known(
                name: name, cores: row[2], memory: ByteCount(row[3] as Int64), first: first,
                last: row[6] as Int64? ?? first)
        }
        let (from, to) = (query.since.nanosecondsSinceEpoch, query.until.nanosecondsSinceEpoch)
        let all = wanted.isEmpty && query.partition == nil
        // Nothing is newer: the step that has just begun counts whole, not by its share.
        let day = Level.hours.secondsPerChunk * 1_000_000_000
        let isOfNow = known.values.allSatisfy { $0.last <= to }
        let reader = try UsageReader(
            db, from: from, to: isOfNow ? (to / day + 1) * day : to, nodes: all ? nil : Set(known.keys))
        var total = CapacityUse()
        for (id, node) in known where node.first < to {
            // What the next report will tell is not unwatched.
            let end = node.last > to - 60_000_000_000 ? min(to, node.last) : to
            let use = CapacityUse(
                reader.sums[id] ?? NodeUse(), cores: node.cores,
                seconds: Double(max(0, end - max(from, node.first))) / 1e9)
            total += use
            report.nodeCount += 1
            report.cores += node.cores
            report.memory = report.memory + node.memory
            report.nodes.append(.init(node: node.name, cores: node.cores, memory: node.memory, use: use))
        }
        report.total = total
        if report.nodes.count > query.nodeLimit {
            report.nodes.sort { ($1.use.leftCoreSeconds, $0.node) < ($0.use.leftCoreSeconds, $1.node) }
            report.nodes.removeLast(report.nodes.count - query.nodeLimit)
        } else {
            report.nodes.sort { $0.node < $1.node }
        }
    }

    /// Lenders and borrowers, and the jobs' sums where hours know them.
    private static func addShares(_ report: inout CapacityReport, _ query: ReportQuery, _ db: Database) throws {
        guard query.nodes.isEmpty, query.job == nil else { return }
        var filter = " WHERE hour >= ? AND hour < ?"
        var arguments: StatementArguments = [query.hours.lowerBound, query.hours.upperBound]
        if let user = query.shownUser {
            filter += " AND user = ?"
            arguments += [Int64(user.number)]
        }
        var owners = filter
        var ownerArguments = arguments
        for (column, word) in [("account", query.account), ("partition", query.partition)] {
            guard let word else { continue }
            owners += " AND \(column) = (SELECT id FROM words WHERE word = ?)"
            ownerArguments += [word]
        }
        let sums = Schema.useColumns.map { "sum(\($0))" }.joined(separator: ", ")
        var total = NodeUse()
        let rows = try Row.fetchCursor(
            db, sql: "SELECT user, \(sums) FROM owner_hours\(owners) GROUP BY user", arguments: ownerArguments)
        while let row = try rows.next() {
            var use = NodeUse()
            for field in NodeUse.Field.allCases { use[field] = row[field.rawValue + 1] }
            total += use
            guard use[.lent] > 0 || use[.memoryLent] > 0 else { continue }
            report.lenders.append(
                .init(
                    user: UserID(UInt32(truncatingIfNeeded: row[0] as Int64)), coreSeconds: use.coreSeconds(.lent),
                    byteSeconds: use.byteSeconds(.memoryLent)))
        }
        report.jobTotal = CapacityReport.JobTotal(total)
        guard query.account == nil, query.partition == nil else { return }
        let leases = try Row.fetchAll(
            db, sql: "SELECT user, sum(core_s), sum(byte_s) FROM lease_hours\(filter) GROUP BY user",
            arguments: arguments)
        report.borrowers = leases.map {
            .init(user: UserID(UInt32(truncatingIfNeeded: $0[0] as Int64)), coreSeconds: $0[1], byteSeconds: $0[2])
        }
        func order(_ a: CapacityReport.Share, _ b: CapacityReport.Share) -> Bool {
            (b.coreSeconds, a.user) < (a.coreSeconds, b.user)
        }
        report.lenders.sort(by: order)
        report.borrowers.sort(by: order)
        let reasons = try Row.fetchAll(
            db,
            sql: """
                SELECT word, sum(count), sum(core_s), sum(used_core_s) FROM lease_hours JOIN words ON id = reason
                \(filter) GROUP BY word ORDER BY word
                """, arguments: arguments)
        report.leases = reasons.map {
            .init(reason: $0[0], count: $0[1], coreSeconds: $0[2], usedCoreSeconds: $0[3])
        }
    }

    /// Gaps, reclaims and losses: of the whole cluster, so not where only a part of it is asked for.
    private static func addCounts(_ report: inout CapacityReport, _ query: ReportQuery, _ db: Database) throws {
        let losses = try Row.fetchAll(
            db, sql: "SELECT * FROM losses WHERE until >= ? AND since < ? ORDER BY since",
            arguments: [query.since.nanosecondsSinceEpoch, query.until.nanosecondsSinceEpoch])
        report.losses = losses.map {
            .init(since: time($0["since"]), until: time($0["until"]), writes: $0["writes"], reason: $0["reason"])
        }
        guard !query.isOfJobs, query.nodes.isEmpty, query.partition == nil else { return }
        let tallies = try tallies(query, db)
        func tally(_ kind: TallyKind) -> Tally { tallies[kind.rawValue] ?? Tally() }
        report.nodeGaps = .init(tally(.nodeGapSeconds))
        report.coreGaps = .init(tally(.coreGapSeconds))
        let vacates = tally(.vacateMicroseconds)
        guard let median = vacates.quantile(0.5), let p99 = vacates.quantile(0.99) else { return }
        report.reclaims = .init(
            count: Int(vacates.count), medianMicroseconds: median, p99Microseconds: p99,
            late: Int(tally(.lateVacateMicroseconds).count))
    }

    /// What was counted in the hours of a report, by `TallyKind`.
    static func tallies(_ query: ReportQuery, _ db: Database) throws -> [Int: Tally] {
        var tallies: [Int: Tally] = [:]
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT kind, bucket, sum(count), sum(sum) FROM tallies WHERE hour >= ? AND hour < ?
                GROUP BY kind, bucket
                """, arguments: [query.hours.lowerBound, query.hours.upperBound])
        while let row = try rows.next() {
            tallies[row[0], default: Tally()].add(bucket: row[1], .init(count: row[2], sum: row[3]))
        }
        return tallies
    }
}

extension CapacityReport.JobTotal {
    init(_ use: NodeUse) {
        self.init()
        heldCoreSeconds = use.coreSeconds(.allocated)
        usedCoreSeconds = use.coreSeconds(.used)
        lentCoreSeconds = use.coreSeconds(.lent)
        heldByteSeconds = use.byteSeconds(.memoryAllocated)
        usedByteSeconds = use.byteSeconds(.memoryUsed)
        lentByteSeconds = use.byteSeconds(.memoryLent)
    }
}
