/// A chunk's steps as bytes: per field the growth from step to step as variable-length integers, runs of equal steps as
/// one number. A constant field of 60 steps takes 3 to 8 bytes, one that trembles by a per cent two bytes a step.
public enum StepsCoding {
    /// - Returns: bytes that `decode` turns back into the same steps.
    public static func encode(_ steps: [NodeUse]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(steps.count * 6)
        for field in NodeUse.Field.allCases {
            var last: Int64 = 0
            var same: UInt64 = 0
            for step in steps {
                let growth = step[field] &- last
                last = step[field]
                if growth == 0 {
                    same += 1
                    continue
                }
                flush(&same, &bytes)
                append(UInt64(bitPattern: growth << 1 ^ growth >> 63), &bytes)
            }
            flush(&same, &bytes)
        }
        return bytes
    }

    /// - Returns: nil when the bytes are not what `encode` makes of so many steps.
    public static func decode(_ bytes: UnsafeRawBufferPointer, count: Int) -> [NodeUse]? {
        var steps = [NodeUse](repeating: NodeUse(), count: count)
        var at = 0
        for field in NodeUse.Field.allCases {
            var value: Int64 = 0
            var index = 0
            while index < count {
                guard let code = take(bytes, &at) else { return nil }
                if code == 0 {
                    guard let run = take(bytes, &at), run > 0, run <= UInt64(count - index) else { return nil }
                    if value != 0 { for step in index..<index + Int(run) { steps[step][field] = value } }
                    index += Int(run)
                } else {
                    value &+= Int64(bitPattern: code >> 1) ^ -Int64(bitPattern: code & 1)
                    steps[index][field] = value
                    index += 1
                }
            }
        }
        return at == bytes.count ? steps : nil
    }

    private static func flush(_ same: inout UInt64, _ bytes: inout [UInt8]) {
        guard same > 0 else { return }
        bytes.append(0)
        append(same, &bytes)
        same = 0
    }
    private static func append(_ value: UInt64, _ bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
    private static func take(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < bytes.count, shift < 64 {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
