/// How often each statement of the program may write a line: a burst, then one now and then. What is left out is counted.
///
/// Statements, not texts: a line about another node's fault is as frequent as that fault. Holds no more than the program has statements.
struct LogRate {
    struct Statement: Hashable {
        var file: String
        var line: UInt
    }
    /// Lines that were left out of a statement that may write again.
    struct Omission: Equatable {
        var count: Int
        /// The first one's.
        var text: String
        /// The module that would have said it.
        var module: String
    }
    private struct Bucket {
        var lines = Double(LogRate.burst)
        var filledAt: Duration
        var omission: Omission?

        mutating func fill(at now: Duration) {
            let more = (now - filledAt) / LogRate.period
            guard more > 0 else { return }
            lines = min(Double(LogRate.burst), lines + more)
            filledAt = now
        }
    }

    static let burst = 20
    /// Between lines of a statement that always has one to write.
    static let period = Duration.seconds(3)
    private var buckets: [Statement: Bucket] = [:]
    private var omitting: Set<Statement> = []

    /// - Parameters:
    ///   - now: since a moment that stays the same.
    ///   - text: of the line, kept if it is the first that is left out.
    /// - Returns: whether the line is written.
    mutating func admits(
        _ statement: Statement, module: String, text: @autoclosure () -> String, at now: Duration
    ) -> Bool {
        var bucket = buckets[statement] ?? Bucket(filledAt: now)
        defer { buckets[statement] = bucket }
        bucket.fill(at: now)
        guard bucket.lines < 1 else {
            bucket.lines -= 1
            return true
        }
        bucket.omission = Omission(
            count: (bucket.omission?.count ?? 0) + 1, text: bucket.omission?.text ?? text(), module: module)
        omitting.insert(statement)
        return false
    }

    /// What was left out of statements that may write again, or of all; told once.
    mutating func omissions(at now: Duration, all: Bool = false) -> [Omission] {
        guard !omitting.isEmpty else { return [] }
        var told: [Omission] = []
        for statement in omitting {
            buckets[statement]?.fill(at: now)
            guard let bucket = buckets[statement], let omission = bucket.omission, all || bucket.lines >= 1 else {
                continue
            }
            told.append(omission)
            buckets[statement]?.omission = nil
            omitting.remove(statement)
        }
        return told.sorted { ($0.module, $0.text) < ($1.module, $1.text) }
    }
}
