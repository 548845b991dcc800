internal import FallowDigest
public import FallowWire

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// A file that holds a secret by which readers are known. It is read each time, so that the secret is changed without a
/// restart; it is short and rarely asked for.
public struct TokenFile: Sendable {
    /// The configuration's name of the file, for messages.
    private let key: String
    private let path: String

    public init(path: String, key: String) {
        self.path = path
        self.key = key
    }

    /// The secret without white space.
    ///
    /// - Throws: `WireError` `refused`: there is none, or one too short to be worth anything.
    public func read() throws(WireError) -> String {
        let token = (FileManager.default.contents(atPath: path) ?? Data()).filter { $0 > 0x20 }
        guard token.count >= 16 else {
            throw WireError(.refused, "the file of \(key) holds no token of 16 characters or more")
        }
        return String(decoding: token, as: UTF8.self)
    }

    /// Whether somebody shows the secret; how long it takes says nothing of how much of it was right.
    public func matches(_ shown: String) throws(WireError) -> Bool { Self.areEqual(shown, try read()) }

    /// Compares two texts in a time that their lengths alone decide.
    public static func areEqual(_ a: String, _ b: String) -> Bool {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        return a.count == b.count && agreeInConstantTime(a, b, bytes: a.count)
    }
}
