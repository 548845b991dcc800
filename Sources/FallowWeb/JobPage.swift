internal import FallowModel
internal import FallowReporting
internal import FallowWire

/// What `job.mustache` shows.
struct JobPage: Sendable {
    struct Fact: Sendable {
        var name: String
        var value: String
    }
    struct Bar: Sendable {
        var name: String
        var value: String
        var used: Double
        var lentAt: Double
        var lent: Double
    }
    struct OnNode: Sendable {
        var node: String
        var cores: String
        var memory: String
        var peak: String
        var lends: String
    }
    struct Task: Sendable {
        var id: UInt32
        var name: String
        var state: String
        var elapsed: String
        var efficiency: String
    }

    var frame: PageFrame
    var name: String
    var user: String
    var state: String
    var isRunning: Bool
    var serverless: String
    var lendsNothing: Bool
    var isMeasured: Bool
    var first: Moment
    var last: Moment
    var facts: [Fact]
    var bars: [Bar]
    var advice: [JobAdviceRow]
    var hasAdvice: Bool
    var nodes: [OnNode]
    var hasNodes: Bool
    var board: BoardView
    /// The array's tasks, where the number is an array's.
    var tasks: [Task]
    var hasTasks: Bool

    struct JobAdviceRow: Sendable {
        var directive: String
        var reason: String
    }

    /// - Parameters:
    ///   - jobs: the job, or all tasks of an array; not empty.
    ///   - views: of the nodes on which it runs.
    init(frame: PageFrame, jobs: [JobUse], views: [JobView], board: LeaseBoard, asked: JobID, names: [UserID: String]) {
        let job = jobs.first { $0.facts.jobID == asked } ?? jobs[0]
        let owner = names[job.user] ?? "\(job.user)"
        func text(_ column: JobColumn) -> String { column.text(job) { _ in owner } }
        self.frame = frame
        name = job.facts.name
        user = owner
        state = text(.state)
        isRunning = !job.ended
        serverless = job.serverless ?? "nothing"
        lendsNothing = job.serverless == nil
        isMeasured = job.measured
        first = Moment(job.firstSeenAt)
        last = Moment(job.lastSeenAt)
        facts = [
            Fact(name: "Account", value: text(.account)), Fact(name: "Partition", value: text(.partition)),
            Fact(name: "Nodes", value: text(.nodes)), Fact(name: "Cores", value: text(.cores)),
            Fact(name: "Tasks", value: text(.tasks)), Fact(name: "Runs", value: text(.runs)),
            Fact(name: "Elapsed", value: text(.elapsed)),
        ]
        func bar(_ name: String, _ used: Double, _ lent: Double, of all: Double, _ value: String) -> Bar {
            func percent(_ part: Double) -> Double { all > 0 ? (min(1, max(0, part / all)) * 1000).rounded() / 10 : 0 }
            let used = percent(used)
            return Bar(name: name, value: value, used: used, lentAt: used, lent: min(100 - used, percent(lent)))
        }
        let gibibyteHours = job.heldByteSeconds / Double(1 << 30)
        bars = [
            bar(
                "Core time", job.usedCoreSeconds, job.lentCoreSeconds, of: job.heldCoreSeconds,
                "\(text(.used)) of \(text(.held)) core-hours used, \(text(.lent)) lent"),
            bar(
                "Memory, at most", Double(job.peakMemory.bytes), 0, of: Double(job.memory.bytes),
                "\(text(.peak)) of \(text(.memory)) on a node; \(ReportText.hours(gibibyteHours)) GiB-hours held"),
        ]
        advice = JobAdvice.advise(job).map { JobAdviceRow(directive: $0.directive, reason: $0.reason) }
        hasAdvice = !advice.isEmpty
        nodes = views.map { view in
            OnNode(
                node: view.node.text, cores: view.job.cores.description, memory: "\(view.job.memory)",
                peak: view.job.measured ? "\(view.job.peakMemory)" : "–",
                lends: "\(view.job.lending.cores) cores, \(view.job.lending.memory)")
        }
        hasNodes = !nodes.isEmpty
        self.board = BoardView(board)
        let others = jobs.count > 1 ? jobs : []
        tasks = others.map {
            Task(
                id: $0.facts.jobID.number, name: $0.facts.name, state: $0.ended ? "ended" : "running",
                elapsed: JobColumn.elapsed.text($0) { _ in "" }, efficiency: JobColumn.efficiency.text($0) { _ in "" })
        }
        hasTasks = !tasks.isEmpty
    }
}

/// What `message.mustache` shows: a sentence, and a form where signing in would help.
struct MessagePage: Sendable {
    var frame: PageFrame
    var heading: String
    var sentence: String
    var offersSignIn: Bool
}
