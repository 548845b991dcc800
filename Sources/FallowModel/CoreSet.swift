/// What the numbers in a core set count: see `AbstractCore` and `MachineCPU`.
public protocol CoreNumbering: Sendable {}

/// Slurm's own core ids on a node, as a job's credential names them: not CPUs of the machine.
public enum AbstractCore: CoreNumbering {}
/// The kernel's CPU numbers, as `sched_setaffinity` and cpusets take them.
public enum MachineCPU: CoreNumbering {}

public typealias AbstractCoreSet = CoreSet<AbstractCore>
public typealias MachineCPUSet = CoreSet<MachineCPU>

/// A set of small non-negative core numbers; the type parameter keeps Slurm's ids and the kernel's apart.
public struct CoreSet<Numbering: CoreNumbering>: Hashable, Sendable {
    /// The largest number a set may hold, so that hostile text cannot make it large.
    public static var largestNumber: Int { 65_535 }

    private var words: [UInt64] = []

    public init() {}
    public init(_ numbers: some Sequence<Int>) { for number in numbers { insert(number) } }

    public var isEmpty: Bool { words.isEmpty }
    public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    public func contains(_ number: Int) -> Bool {
        number >= 0 && number / 64 < words.count && words[number / 64] & (1 << UInt64(number % 64)) != 0
    }
    public mutating func insert(_ number: Int) {
        precondition(number >= 0 && number <= Self.largestNumber, "core number \(number) is out of range")
        while words.count <= number / 64 { words.append(0) }
        words[number / 64] |= 1 << UInt64(number % 64)
    }
    public mutating func remove(_ number: Int) {
        guard contains(number) else { return }
        words[number / 64] &= ~(1 << UInt64(number % 64))
        trim()
    }
    public func union(_ other: CoreSet) -> CoreSet { combined(other) { $0 | $1 } }
    public func intersection(_ other: CoreSet) -> CoreSet { combined(other) { $0 & $1 } }
    public func subtracting(_ other: CoreSet) -> CoreSet { combined(other) { $0 & ~$1 } }
    public func isDisjoint(with other: CoreSet) -> Bool { zip(words, other.words).allSatisfy { $0 & $1 == 0 } }
    public func isSubset(of other: CoreSet) -> Bool { subtracting(other).isEmpty }

    private func combined(_ other: CoreSet, _ operation: (UInt64, UInt64) -> UInt64) -> CoreSet {
        var result = CoreSet()
        for index in 0..<Swift.max(words.count, other.words.count) {
            let mine = index < words.count ? words[index] : 0
            let theirs = index < other.words.count ? other.words[index] : 0
            result.words.append(operation(mine, theirs))
        }
        result.trim()
        return result
    }
    private mutating func trim() { while words.last == 0 { words.removeLast() } }
}

extension CoreSet: Sequence {
    /// The numbers in rising order.
    public func makeIterator() -> AnyIterator<Int> {
        var word = 0
        var rest = words.first ?? 0
        let words = words
        return AnyIterator {
            while rest == 0 {
                word += 1
                guard word < words.count else { return nil }
                rest = words[word]
            }
            let bit = rest.trailingZeroBitCount
            rest &= rest - 1
            return word * 64 + bit
        }
    }
}

extension CoreSet: CustomStringConvertible {
    /// Parses the kernel's and Slurm's list form: `0-3,8`, with an optional stride `0-30:2`; an empty text is the empty set.
    /// - Returns: nil when the text is not such a list, names a number above `largestNumber`, or names more numbers than a
    ///   set can hold.
    public init?(parsing text: some StringProtocol) {
        self.init()
        guard !text.isEmpty else { return }
        // Int() alone would take a sign.
        let number = { (digits: Substring) -> Int? in
            digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(digits) : nil
        }
        var budget = Self.largestNumber + 1
        for part in Substring(text).split(separator: ",", omittingEmptySubsequences: false) {
            let strided = part.split(separator: ":", omittingEmptySubsequences: false)
            let ends = strided[0].split(separator: "-", omittingEmptySubsequences: false).map(number)
            guard strided.count <= 2, (1...2).contains(ends.count), let first = ends[0],
                let last = ends[ends.count - 1],
                let step = strided.count == 2 ? number(strided[1]) : 1,
                first <= last, last <= Self.largestNumber, step >= 1
            else { return nil }
            budget -= (last - first) / step + 1
            guard budget >= 0 else { return nil }
            for number in stride(from: first, through: last, by: step) { insert(number) }
        }
    }

    /// The list form with ranges: `0-3,8`.
    public var description: String {
        var parts: [String] = []
        var range: ClosedRange<Int>?
        func flush() {
            if let range {
                parts.append(range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)")
            }
        }
        for number in self {
            if let open = range, open.upperBound + 1 == number {
                range = open.lowerBound...number
            } else {
                flush()
                range = number...number
            }
        }
        flush()
        return parts.joined(separator: ",")
    }
}

extension CoreSet: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let set = CoreSet(parsing: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is no core list like 0-3,8")
        }
        self = set
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
