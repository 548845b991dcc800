/// How sacct writes numbers. All of them take bytes of a field and give nil for what is none.
enum SacctFields {
    typealias Field = ArraySlice<UInt8>

    /// `123`.
    static func whole(_ field: Field) -> Int64? {
        guard !field.isEmpty, field.count <= 18 else { return nil }
        var value: Int64 = 0
        for byte in field {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        return value
    }

    /// `[days-][hours:]minutes:seconds[.fraction]` in seconds.
    static func span(_ field: Field) -> Double? {
        var rest = field
        var days: Int64 = 0
        if let dash = rest.firstIndex(of: UInt8(ascii: "-")) {
            guard let number = whole(rest[..<dash]) else { return nil }
            days = number
            rest = rest[(dash + 1)...]
        }
        var fraction = 0.0
        if let dot = rest.firstIndex(of: UInt8(ascii: ".")) {
            let digits = rest[(dot + 1)...]
            guard let number = whole(digits) else { return nil }
            fraction = Double(number) / (0..<digits.count).reduce(1.0) { scale, _ in scale * 10 }
            rest = rest[..<dot]
        }
        var seconds: Int64 = 0
        let parts = rest.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count) else { return nil }
        for part in parts {
            guard let number = whole(part), number < 1_000_000 else { return nil }
            seconds = seconds * 60 + number
        }
        guard days < 1_000_000 else { return nil }
        return Double(days * 86_400 + seconds) + fraction
    }

    /// `12345K`, `1.5G`, `4000M`, with the `n` or `c` of older versions' ReqMem left to the caller; in bytes.
    static func memory(_ field: Field) -> Double? {
        guard let last = field.last else { return nil }
        let units: [UInt8: Double] = [
            UInt8(ascii: "K"): 1024, UInt8(ascii: "M"): 1_048_576, UInt8(ascii: "G"): 1_073_741_824,
            UInt8(ascii: "T"): 1_099_511_627_776,
        ]
        let digits = units[last] == nil ? field : field.dropLast()
        guard digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 || $0 == UInt8(ascii: ".") }),
            let number = Double(String(decoding: digits, as: UTF8.self))
        else { return nil }
        return number * (units[last] ?? 1)
    }

    /// The value of `name=` in `billing=4,cpu=4,mem=16G,node=1`.
    static func resource(_ name: StaticString, in field: Field) -> Field? {
        for part in field.split(separator: UInt8(ascii: ",")) {
            guard let sign = part.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let key = part[..<sign]
            let isIt = name.withUTF8Buffer { wanted in key.elementsEqual(wanted) }
            if isIt { return part[(sign + 1)...] }
        }
        return nil
    }
}
