internal import ArgumentParser
internal import FallowModel
internal import FallowReporting
internal import FallowWire
internal import Glibc

/// The tables by their names on the command line.
enum TopTableName: String, CaseIterable, ExpressibleByArgument {
    case nodes, leases
    var view: TopView { self == .nodes ? .nodes : .leases }
}

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "The cluster as it is now, on the whole terminal.",
        discussion: "Keys: q quits, ? lists the others. With --once or --json it prints once, for pipes.")
    @OptionGroup var common: CommonOptions
    @Flag(help: "Print once, as text as wide as it is.")
    var once = false
    @Option(help: "Seconds between two looks.")
    var every = 2.0
    @Option(help: "nodes or leases.")
    var view = TopTableName.nodes

    func validate() throws {
        guard (0.1...3600).contains(every) else { throw ValidationError("--every wants seconds from 0.1 to 3600") }
    }

    func run() async throws {
        if once || common.json {
            return try common.show(try await Self.look(common)) {
                TopScreen.text($0, view: view.view, userName: userName, localTime: { $0.localText })
            }
        }
        let kind = getenv("TERM").map { String(cString: $0) } ?? ""
        guard !["", "dumb"].contains(kind), let terminal = TopTerminal() else {
            let what =
                isatty(STDOUT_FILENO) != 0 && isatty(STDIN_FILENO) != 0
                ? "a terminal that can be drawn on (TERM is '\(kind)')" : "a terminal"
            throw ValidationError("fallow top wants \(what); fallow top --once prints the same once")
        }
        let common = common
        let session = TopSession(
            terminal: terminal, period: .milliseconds(Int64(every * 1000)),
            color: getenv("NO_COLOR") == nil && !kind.hasSuffix("-m") && !kind.hasPrefix("vt"), view: view.view,
            ask: { try await Self.look(common) })
        if let number = await session.run() {
            // As if the signal had done what it does by default, for whoever waits.
            signal(number, SIG_DFL)
            var one = sigset_t()
            sigemptyset(&one)
            sigaddset(&one, number)
            // To this thread and not to the process: signals of that are Dispatch's while a source listens for them.
            pthread_sigmask(SIG_UNBLOCK, &one, nil)
            raise(number)
            throw ExitCode(128 + number)
        }
    }

    private static func look(_ common: CommonOptions) async throws -> TopSnapshot {
        async let status = common.get("/v1/status", ClusterStatus.self)
        async let nodes = common.get("/v1/nodes", [NodeView].self)
        async let leases = common.get("/v1/leases", [LeaseView].self)
        return TopSnapshot(at: .current(), status: try await status, nodes: try await nodes, leases: try await leases)
    }
}
