internal import FallowDigest
public import FallowWire

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// A part of a reply that nobody on the way may read, although HTTP goes in the clear: it is encrypted with a key that both ends of
/// the session derive from the session's. `session ID BOX`, the box in base64.
struct SessionLetter: Sendable, Hashable {
    private static let word = "session"

    /// Of the session.
    let id: String
    private let box: [UInt8]

    init(_ plain: [UInt8], key: SessionKey) {
        id = key.id
        box = SecretBox.seal(plain, key: key.letterKey)
    }

    /// nil: the text is no such letter.
    init?(text: String) {
        let parts = text.split(separator: " ", maxSplits: 3)
        guard parts.count == 3, parts[0] == Self.word, let box = Data(base64Encoded: String(parts[2]))
        else { return nil }
        id = String(parts[1])
        self.box = Array(box)
    }

    var text: String { "\(Self.word) \(id) \(Data(box).base64EncodedString())" }

    /// nil: it was written with another key, or altered.
    func plain(key: SessionKey) -> [UInt8]? { SecretBox.open(box, key: key.letterKey) }
}

/// How the parts of one reply are read that its server wrote for this client alone (`ControlContext.letter`).
public struct Letters: Sendable {
    /// Of the session that the reply belongs to; nil: it was sealed by MUNGE.
    let key: SessionKey?
    let base: String

    /// - Returns: nil: the text is no letter.
    /// - Throws: `WireError` `refused`: it is another session's, or was altered.
    public func read(_ text: String) throws(WireError) -> [UInt8]? {
        guard let letter = SessionLetter(text: text) else { return nil }
        guard let key, key.id == letter.id, let plain = letter.plain(key: key) else {
            throw WireError(.refused, "what \(base) wrote was altered on the way, or is for another")
        }
        return plain
    }
}
