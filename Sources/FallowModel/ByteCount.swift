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
        var rest = text.lowercased().utf8[...]
        let hasB = rest.last == UInt8(ascii: "b")
        if hasB { rest.removeLast() }
        let hasI = hasB && rest.last == UInt8(ascii: "i")
        if hasI { rest.removeLast() }
        let units: [UInt8: Int64] = [
            UInt8(ascii: "k"): 10, UInt8(ascii: "m"): 20, UInt8(ascii: "g"): 30, UInt8(ascii: "t"): 40,
            UInt8(ascii: "p"): 50,
        ]
        let unit = rest.last.flatMap { units[$0] }
        if unit != nil { rest.removeLast() }
        guard unit != nil || !hasI else { return nil }
        let scale = Int64(1) << (unit ?? 0)

        let parts = rest.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }),
            let whole = Int64(Substring(parts[0]))
        else { return nil }
        let fraction = parts.count == 2 ? Double("0." + Substring(parts[1])) ?? 0 : 0
        // Whole numbers stay exact; only the fraction goes through floating point.
        let (scaled, overflow) = whole.multipliedReportingOverflow(by: scale)
        guard !overflow, scaled <= Int64(1) << 62 else { return nil }
        let sum = scaled + Int64(fraction * Double(scale))
        guard sum <= Int64(1) << 62 else { return nil }
        bytes = sum
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
        var tenths = Int((value * 10).rounded())
        if tenths >= 10_240, unit < units.count - 1 {
            tenths = 10
            unit += 1
        }
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
