/// An amount of memory or data, in bytes.
///
/// Text forms use binary units as Slurm does: `512M` is 512 MiB, `64G` is 64 GiB; a plain number is bytes.
public struct ByteCount: Hashable, Comparable, Sendable {
    /// The amount in bytes; may be negative as the result of a subtraction.
    public var bytes: Int64

    public init(_ bytes: Int64) { self.bytes = bytes }
    public init(_ bytes: Int) { self.bytes = Int64(bytes) }

    public static let zero = ByteCount(0 as Int64)
    public static func kibibytes(_ count: Int64) -> ByteCount { ByteCount(count << 10) }
    public static func mebibytes(_ count: Int64) -> ByteCount { ByteCount(count << 20) }
    public static func gibibytes(_ count: Int64) -> ByteCount { ByteCount(count << 30) }

    public static func < (a: ByteCount, b: ByteCount) -> Bool { a.bytes < b.bytes }
    public static func + (a: ByteCount, b: ByteCount) -> ByteCount { ByteCount(a.bytes + b.bytes) }
    public static func - (a: ByteCount, b: ByteCount) -> ByteCount { ByteCount(a.bytes - b.bytes) }
    public static func += (a: inout ByteCount, b: ByteCount) { a.bytes += b.bytes }
    public static func -= (a: inout ByteCount, b: ByteCount) { a.bytes -= b.bytes }

    /// Parses `4096`, `512K`, `64M`, `1.5G`, `2T`; an optional `iB` or `B` after the unit is allowed, case does not matter.
    /// - Returns: nil when the text is no amount, is negative, or is beyond 2^62 bytes.
    public init?(parsing text: some StringProtocol) {
        var digits = text.lowercased()
        if digits.hasSuffix("ib") { digits.removeLast(2) } else if digits.hasSuffix("b") { digits.removeLast() }
        let units: [Character: Int] = ["k": 10, "m": 20, "g": 30, "t": 40, "p": 50]
        var shift = 0
        if let last = digits.last, let unit = units[last] {
            shift = unit
            digits.removeLast()
        }
        guard let first = digits.first, first.isNumber, let number = Double(digits), number.isFinite, number >= 0 else {
            return nil
        }
        let scaled = number * Double(Int64(1) << Int64(shift))
        guard scaled <= Double(Int64(1) << 62) else { return nil }
        bytes = Int64(scaled)
    }
}

extension ByteCount: CustomStringConvertible {
    /// The amount with a binary unit and at most one decimal: `1.5 GiB`.
    public var description: String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var value = Double(bytes.magnitude)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        let text = tenths % 10 == 0 || unit == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
        return "\(bytes < 0 ? "-" : "")\(text) \(units[unit])"
    }
}

extension ByteCount: Codable {
    public init(from decoder: any Decoder) throws {
        bytes = try decoder.singleValueContainer().decode(Int64.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }
}
