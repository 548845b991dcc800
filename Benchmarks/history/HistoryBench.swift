import FallowHistory
import FallowModel
import Foundation

/// history-bench FILE NODES DAYS: makes the history when the file is not there, then times reports over it, the best of three
/// each. Rows as JSON on standard output, progress on standard error. With `until-now` it makes one that ends now, for pictures,
/// and times nothing.
@main struct HistoryBench {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4 || (arguments.count == 5 && arguments[4] == "until-now"),
            let nodes = Int(arguments[2]), let days = Int(arguments[3]), nodes > 0, days > 0
        else {
            FileHandle.standardError.write(Data("usage: history-bench FILE NODES DAYS [until-now]\n".utf8))
            exit(2)
        }
        func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

        let path = arguments[1]
        let clock = ContinuousClock()
        if arguments.count == 5 {
            var generator = Generator(
                nodes: nodes, days: days, until: Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970))
            let history = try History(path: path)
            try generator.run(history) { say($0) }
            try history.checkpoint()
            return
        }
        var generator = Generator(nodes: nodes, days: days)
        let opened = clock.now
        let isNew = !FileManager.default.fileExists(atPath: path)
        let history = try History(path: path)
        if isNew {
            try generator.run(history) { say("\($0), \(Int((clock.now - opened).inSeconds)) s") }
            try history.checkpoint()
            say("made in \(Int((clock.now - opened).inSeconds)) s")
        }

        let start = Timestamp(nanosecondsSinceEpoch: generator.firstDay * 86_400_000_000_000)
        let end = start + .seconds(days * 86_400)
        /// Neither whole days nor whole hours nor whole minutes: every level is read.
        let odd = start + .seconds(5_025)
        var rows: [String] = []

        func row(_ name: String, _ value: Double, _ unit: String, target: Double) {
            let met = value <= target
            rows.append(
                "{\"name\": \"\(name)\", \"value\": \(value), \"unit\": \"\(unit)\", \"floor\": null, \"peer\": null, "
                    + "\"target\": \(target), \"met\": \(met)}")
            say("\(name): \(value) \(unit) (target \(target), \(met ? "met" : "MISSED"))")
        }

        func time(_ name: String, _ change: (inout ReportQuery) -> Void = { _ in }) throws {
            var query = ReportQuery(since: odd, until: end + .seconds(-4_321))
            change(&query)
            var best = Double.infinity
            for _ in 0..<3 {
                let began = clock.now
                let report = try history.capacityReport(query)
                best = min(best, (clock.now - began).inSeconds)
                guard report.nodeCount > 0 || report.total == nil, report.jobTotal.heldCoreSeconds > 0 else {
                    say("\(name): the report is empty")
                    exit(1)
                }
            }
            row("report, \(name)", (best * 1000).rounded() / 1000, "s", target: 2)
        }

        let scale = "\(nodes) nodes, \(days) days"
        row(
            "history, \(scale)", Double(history.sizeBytes) / Double(1 << 30), "GiB", target: 10 * Double(nodes) / 10_000
        )
        try time("all, \(scale)")
        try time("a day") { $0.since = end + .seconds(-90_061) }
        try time("one partition") { $0.partition = "big" }
        try time("one account") { $0.account = "account7" }
        try time("one user") { $0.user = UserID(1042) }
        try time("one node") { $0.nodes = [NodeName("node\(nodes / 2 + 1)")] }
        try time("hundred nodes") { query in query.nodes = (1...min(100, nodes)).map { NodeName("node\($0)") } }
        try time("a user's 10,000 jobs") {
            $0.user = UserID(1042)
            $0.jobLimit = 10_000
        }
        print("{\"rows\": [\n " + rows.joined(separator: ",\n ") + "]}")
    }
}
