public import FallowModel

/// Names in the order that people count in: node2 before node10.
public enum NaturalOrder {
    public static func precedes(_ a: NodeName, _ b: NodeName) -> Bool {
        let (left, right) = (Array(a.text.utf8), Array(b.text.utf8))
        var (i, j) = (0, 0)
        while i < left.count, j < right.count {
            guard isDigit(left[i]), isDigit(right[j]) else {
                if left[i] != right[j] { return left[i] < right[j] }
                i += 1
                j += 1
                continue
            }
            let (first, second) = (number(left, &i), number(right, &j))
            if first.count != second.count { return first.count < second.count }
            if first != second { return first.lexicographicallyPrecedes(second) }
        }
        // What differs by leading zeros alone still has one order.
        return left.count - i != right.count - j ? left.count - i < right.count - j : a < b
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// The digits from `index` on without leading zeros; `index` is then behind them.
    private static func number(_ bytes: [UInt8], _ index: inout Int) -> ArraySlice<UInt8> {
        var start = index
        while index < bytes.count, isDigit(bytes[index]) { index += 1 }
        while start < index - 1, bytes[start] == UInt8(ascii: "0") { start += 1 }
        return bytes[start..<index]
    }
}
