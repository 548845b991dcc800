/// Numeric addresses in text.
public enum NumericAddress {
    /// "host:port" or "[host]:port" in its parts; nil when it is neither.
    public static func split(_ text: String) -> (host: String, port: String)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let port = text[text.index(after: colon)...]
        guard let number = UInt16(port), number != 0, !host.isEmpty else { return nil }
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return (String(host), String(port))
    }

    public static func joined(host: String, port: UInt16) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
