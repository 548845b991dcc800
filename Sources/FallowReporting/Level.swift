/// How finely use is kept: the finer, the shorter. Steps lie in chunks, each a row of its table.
///
/// Steps and chunks are counted from 1970 in UTC, so that a day with a change of summer time is like any other; what a
/// local day is, is decided where dates are read.
public enum Level: Int, CaseIterable, Sendable {
    case raw
    case minutes
    case hours

    public var secondsPerStep: Int64 {
        switch self {
        case .raw: 10
        case .minutes: 60
        case .hours: 3600
        }
    }
    public var stepsPerChunk: Int {
        switch self {
        case .raw, .minutes: 60
        case .hours: 24
        }
    }
    public var secondsPerChunk: Int64 { secondsPerStep * Int64(stepsPerChunk) }

    /// The chunk that a second since 1970 falls in.
    public func chunk(at second: Int64) -> Int64 { Self.floor(second, secondsPerChunk) }
    /// The step within that chunk.
    public func step(at second: Int64) -> Int {
        Int((second - chunk(at: second) * secondsPerChunk) / secondsPerStep)
    }

    /// The quotient rounded down, below zero too.
    static func floor(_ value: Int64, _ divisor: Int64) -> Int64 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// What falls into a time from `start` to before `end` (nanoseconds since 1970), of a chunk's steps.
    ///
    /// A step that lies partly in it counts by the share of its time.
    public func sum(_ steps: [NodeUse], chunk: Int64, from start: Int64, to end: Int64) -> NodeUse {
        let length = secondsPerStep * 1_000_000_000
        let origin = chunk * secondsPerChunk * 1_000_000_000
        var sum = NodeUse()
        for (index, use) in steps.enumerated() where !use.isZero {
            let first = origin + Int64(index) * length
            let inside = min(end, first + length) - max(start, first)
            if inside >= length { sum += use } else if inside > 0 { sum += use.scaled(inside, of: length) }
        }
        return sum
    }
}
