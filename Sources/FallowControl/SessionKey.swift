internal import FallowDigest
internal import FallowModel

/// A key that a MUNGE credential carried to the server, so that requests after it are sealed without munged.
///
/// A session's requests are numbered; each number counts once (`ReplayWindow`).
struct SessionKey: Sendable, Hashable {
    /// How long one is used. The uids that are believed are asked for anew when the next one is agreed on.
    static let life: Duration = .seconds(600)
    static let byteCount = 32

    /// The id of the request that carried it.
    var id: String
    var bytes: [UInt8]

    /// The code of a request: its number, its end of validity, and what a MUNGE seal says of it.
    func code(ofRequest number: UInt64, expires: Timestamp, method: String, path: String, bodySHA256: String) -> [UInt8]
    {
        code([
            "request", id, "\(number)", "\(expires.nanosecondsSinceEpoch)", method, "\(path.utf8.count)", path,
            bodySHA256,
        ])
    }

    /// The code of the reply to a request.
    func code(ofReplyTo number: UInt64, status: Int, bodySHA256: String) -> [UInt8] {
        code(["reply", id, "\(number)", "\(status)", bodySHA256])
    }

    /// The key of what is hidden in a reply (`SessionLetter`).
    var letterKey: [UInt8] { code(["letter", id]) }

    private func code(_ parts: [String]) -> [UInt8] {
        var hash = HMACSHA256(key: bytes)
        hash.update(Array(parts.joined(separator: "\n").utf8))
        return hash.finalize()
    }
}

/// A seal by a session's key, as it stands in the header: `session ID NUMBER EXPIRES BODYSHA256 CODE` on a request,
/// `session CODE` on a reply.
struct SessionSeal: Sendable, Hashable {
    private static let word = "session"

    var id: String
    var number: UInt64
    var expires: Timestamp
    var bodySHA256: String
    var code: [UInt8]

    var header: String {
        "\(Self.word) \(id) \(number) \(expires.nanosecondsSinceEpoch) \(bodySHA256) \(Seal.hexadecimal(code))"
    }

    /// nil: the header is no such seal.
    init?(header: String) {
        let parts = header.split(separator: " ", maxSplits: 6)
        guard parts.count == 6, parts[0] == Self.word, let number = UInt64(parts[2]), let expires = Int64(parts[3]),
            let code = Seal.bytes(hexadecimal: parts[5])
        else { return nil }
        id = String(parts[1])
        self.number = number
        self.expires = Timestamp(nanosecondsSinceEpoch: expires)
        bodySHA256 = String(parts[4])
        self.code = code
    }

    /// Seals a request.
    init(_ key: SessionKey, number: UInt64, method: String, path: String, bodySHA256: String, expires: Timestamp) {
        id = key.id
        self.number = number
        self.expires = expires
        self.bodySHA256 = bodySHA256
        code = key.code(
            ofRequest: number, expires: expires, method: method, path: path, bodySHA256: bodySHA256)
    }

    static func isSession(_ header: String) -> Bool { header.hasPrefix(word + " ") }
    static func replyHeader(_ code: [UInt8]) -> String { "\(word) \(Seal.hexadecimal(code))" }
    static func replyCode(_ header: String) -> [UInt8]? {
        let parts = header.split(separator: " ", maxSplits: 2)
        guard parts.count == 2, parts[0] == word else { return nil }
        return Seal.bytes(hexadecimal: parts[1])
    }
}
