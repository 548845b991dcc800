internal import FallowDigest
public import FallowModel

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What a request's MUNGE credential says, so that it stands for this one request alone.
struct RequestSeal: Codable, Sendable {
    var method: String
    /// With the query, as it stands in the request line.
    var path: String
    var bodySHA256: String
    /// The node whose daemon speaks; nil: a user's program.
    var node: NodeName?
    var expires: Timestamp
    /// Random; comes back in the reply's seal.
    var id: String
    /// A daemon's: 32 random bytes, in hexadecimal digits, by which later requests may be sealed (`SessionSeal`).
    var sessionKey: String?
}

/// What a reply's MUNGE credential says.
struct ReplySeal: Codable, Sendable {
    var id: String
    var status: Int
    var bodySHA256: String
}

/// The names and times that both ends of a sealed request share.
public enum Seal {
    /// The header that carries the credential, on requests and replies.
    public static let header = "X-Fallow-Seal"
    /// How long a seal may be on its way.
    public static let life: Duration = .seconds(60)

    /// SHA-256 in small hexadecimal digits.
    public static func digest(_ data: some Sequence<UInt8>) -> String { hexadecimal(SHA256.hash(data)) }

    /// By which builds of a file are told apart: the first 16 digits of its digest.
    public static func buildDigest(_ file: some Sequence<UInt8>) -> String { String(digest(file).prefix(16)) }

    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil: these are no pairs of hexadecimal digits.
    static func bytes(hexadecimal text: Substring) -> [UInt8]? {
        let digits = text.utf8.map { digit -> UInt8? in
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    static func randomID() -> String {
        hexadecimal((0..<16).map { _ in UInt8.random(in: .min ... .max) })
    }
}

extension Timestamp {
    /// The wall clock's time now.
    public static var now: Timestamp {
        Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970)
    }
}
