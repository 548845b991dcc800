/// A key, as terminals send it.
public enum TopKey: Hashable, Sendable {
    case up, down, left, right, pageUp, pageDown, home, end
    case escape, enter, backspace, tab
    case character(Character)
    /// With the control key: `control("c")`.
    case control(Character)

    /// The keys in what was read at once. What is no key that is known is left out; a sequence that is cut short is too.
    public static func parse(_ bytes: [UInt8]) -> [TopKey] {
        var keys: [TopKey] = []
        var rest = bytes[...]
        while let byte = rest.first {
            if byte == 0x1b, rest.count > 1 {
                if let key = sequence(&rest) { keys.append(key) }
                continue
            }
            // A character of several bytes, whole.
            let length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
            if let key = single(Array(rest.prefix(length))) { keys.append(key) }
            rest = rest.dropFirst(length)
        }
        return keys
    }

    private static func single(_ bytes: [UInt8]) -> TopKey? {
        switch bytes[0] {
        case 0x1b: return .escape
        case 0x0d, 0x0a: return .enter
        case 0x08, 0x7f: return .backspace
        case 0x09: return .tab
        case 1...26: return .control(Character(UnicodeScalar(bytes[0] + 0x60)))
        case 0..<0x20: return nil
        default:
            // What is no UTF-8 becomes U+FFFD, which nobody types.
            let text = String(decoding: bytes, as: UTF8.self)
            return text.count == 1 && text != "\u{fffd}" ? .character(Character(text)) : nil
        }
    }

    /// `ESC [ A`, `ESC O A`, `ESC [ 5 ~`: takes one off the front.
    private static func sequence(_ rest: inout ArraySlice<UInt8>) -> TopKey? {
        let introducer = rest[rest.startIndex + 1]
        guard introducer == UInt8(ascii: "[") || introducer == UInt8(ascii: "O") else {
            rest = rest.dropFirst()
            return .escape
        }
        rest = rest.dropFirst(2)
        let parameters = rest.prefix { (0x20..<0x40).contains($0) }
        rest = rest.dropFirst(parameters.count)
        guard let final = rest.popFirst() else { return nil }
        switch (final, String(decoding: parameters, as: UTF8.self)) {
        case (UInt8(ascii: "A"), ""): return .up
        case (UInt8(ascii: "B"), ""): return .down
        case (UInt8(ascii: "C"), ""): return .right
        case (UInt8(ascii: "D"), ""): return .left
        case (UInt8(ascii: "H"), ""), (UInt8(ascii: "~"), "1"), (UInt8(ascii: "~"), "7"): return .home
        case (UInt8(ascii: "F"), ""), (UInt8(ascii: "~"), "4"), (UInt8(ascii: "~"), "8"): return .end
        case (UInt8(ascii: "~"), "5"): return .pageUp
        case (UInt8(ascii: "~"), "6"): return .pageDown
        default: return nil
        }
    }
}
