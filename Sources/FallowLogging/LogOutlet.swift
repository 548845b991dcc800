internal import Glibc
public import Logging
internal import Synchronization

/// Where all lines of a process go: standard error or the journal, each statement's not too often. Its levels can be changed at any time.
public final class LogOutlet: Sendable {
    private struct State {
        var levels: LogLevels
        var rate = LogRate()
    }
    private let state: Mutex<State>
    private let lowestLevel: Atomic<Int>
    private let form: LogLine.Form
    private let now: @Sendable () -> Duration
    private let write: @Sendable (String) -> Void

    /// Standard error, which is the journal when systemd says so.
    public convenience init(levels: LogLevels, environment: [String: String]) {
        self.init(
            levels: levels, form: Self.isJournal(environment["JOURNAL_STREAM"]) ? .journal : .full,
            now: { Self.monotonic() },
            write: { line in
                var line = line
                // One call a line: lines of several threads do not mix. What cannot be written is lost.
                line.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            })
    }

    init(
        levels: LogLevels, form: LogLine.Form, now: @escaping @Sendable () -> Duration,
        write: @escaping @Sendable (String) -> Void
    ) {
        state = Mutex(State(levels: levels))
        lowestLevel = Atomic(Self.number(levels.lowest))
        self.form = form
        self.now = now
        self.write = write
    }

    /// For `LoggingSystem.bootstrap`.
    public func handler(label: String) -> any LogHandler { OutletHandler(label: label, outlet: self) }

    public var levels: LogLevels {
        get { state.withLock { $0.levels } }
        set {
            state.withLock { state in
                state.levels = newValue
                lowestLevel.store(Self.number(newValue.lowest), ordering: .relaxed)
            }
        }
    }

    /// Of all modules; read by every statement, also by those that write nothing.
    var lowest: Logger.Level { Logger.Level.allCases[lowestLevel.load(ordering: .relaxed)] }

    /// Writes the line, unless its module's level is above it or its statement has written too often. Critical ones are always written.
    func take(_ line: LogLine, _ statement: LogRate.Statement, whateverItsLevel: Bool) {
        let moment = now()
        let (isWritten, omissions) = state.withLock { state -> (Bool, [LogRate.Omission]) in
            guard whateverItsLevel || line.level >= state.levels.level(of: line.module) else { return (false, []) }
            let isWritten =
                state.rate.admits(statement, module: line.module, text: line.message, at: moment)
                || line.level == .critical
            return (isWritten, state.rate.omissions(at: moment))
        }
        tell(omissions, label: line.label)
        if isWritten { write(line.text(form, time: Self.time)) }
    }

    /// Tells what was left out and not told yet: for the end.
    public func flush(label: String) { tell(state.withLock { $0.rate.omissions(at: now(), all: true) }, label: label) }

    private func tell(_ omissions: [LogRate.Omission], label: String) {
        for omission in omissions {
            let line = LogLine(
                level: .notice, label: label, module: omission.module,
                message: "as many lines were left out: \(omission.text)", metadata: ["count": "\(omission.count)"])
            write(line.text(form, time: Self.time))
        }
    }

    private static func number(_ level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }

    /// `JOURNAL_STREAM` has the device and inode of what systemd connected to the journal; since then it may have been redirected.
    private static func isJournal(_ stream: String?) -> Bool {
        var status = stat()
        return fstat(STDERR_FILENO, &status) == 0 && stream == "\(status.st_dev):\(status.st_ino)"
    }

    private static func monotonic() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// UTC, to the millisecond: lines of several nodes are put side by side.
    private static func time() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func digits(_ number: Int, _ count: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map { digits($0, 2) }
        let hour = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { digits(Int($0), 2) }
        let milliseconds = digits(now.tv_nsec / 1_000_000, 3)
        return date.joined(separator: "-") + "T" + hour.joined(separator: ":") + ".\(milliseconds)Z"
    }
}
