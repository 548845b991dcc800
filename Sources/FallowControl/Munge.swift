internal import CMunge
public import FallowModel
public import FallowWire
internal import Glibc

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// What a MUNGE credential proved.
public struct MungeCredential: Sendable {
    public var payload: Data
    /// Who made the credential, by munged's word.
    public var user: UserID
    public var group: UInt32
    public var encodedAt: Timestamp
}

/// Why munged made or believed no credential.
public struct MungeError: Error, CustomStringConvertible, Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// munged does not answer.
        case unreachable
        /// Used before: each credential counts once on a host.
        case replayed
        case expired
        /// Made in the future: the clocks of the hosts differ.
        case rewound
        /// Restricted to another uid.
        case restricted
        /// No credential, or one of another realm or key.
        case invalid
        case failed
    }
    public var kind: Kind
    /// One sentence that says what was wrong and how to mend it.
    public var description: String
}

/// Credentials by the host's munged (munge(7)): who a caller is, without passwords.
///
/// The calls talk to munged over its Unix socket (about 0.2 ms) on `BlockingPool`'s threads.
public struct Munge: Sendable {
    /// munged's socket; nil: libmunge's own.
    public let socket: String?
    private let pool: BlockingPool

    public init(socket: String?, pool: BlockingPool = .shared) {
        self.socket = socket
        self.pool = pool
    }

    /// Makes a credential of `payload` in the name of the calling process's user.
    ///
    /// - Parameters:
    ///   - restrictTo: the only uid that may decode it; nil: anybody.
    ///   - timeToLive: whole seconds, at least one; munged has a maximum of its own.
    /// - Throws: `MungeError`; `WireError` `unavailable` when munged hangs.
    public func encode(_ payload: Data, restrictTo: UserID?, timeToLive: Duration = .seconds(60)) async throws -> String
    {
        try await pool.run("munge encode") { [socket] in
            try Self.encodeNow(payload, restrictTo: restrictTo, timeToLive: timeToLive, socket: socket)
        }
    }

    /// Believes or refuses a credential; the same one a second time on this host is refused as `replayed`.
    ///
    /// - Throws: `MungeError`; `WireError` `unavailable` when munged hangs.
    public func decode(_ credential: String) async throws -> MungeCredential {
        try await pool.run("munge decode") { [socket] in try Self.decodeNow(credential, socket: socket) }
    }
}

extension Munge {
    private static func encodeNow(
        _ payload: Data, restrictTo: UserID?, timeToLive: Duration, socket: String?
    ) throws(MungeError) -> String {
        let context = try makeContext(socket: socket)
        defer { munge_ctx_destroy(context) }
        if let restrictTo {
            try check(cmunge_set_uid_restriction(context, restrictTo.number), context, "restrict a credential")
        }
        let seconds = Int32(clamping: max(1, timeToLive.components.seconds))
        try check(cmunge_set_ttl(context, seconds), context, "set a credential's life")
        var credential: UnsafeMutablePointer<CChar>?
        let status = payload.withUnsafeBytes {
            munge_encode(&credential, context, $0.baseAddress, Int32(clamping: $0.count))
        }
        defer { free(credential) }
        try check(status, context, "make a credential")
        guard let credential else { throw MungeError(kind: .failed, description: "munged made no credential") }
        return String(cString: credential)
    }

    private static func decodeNow(_ credential: String, socket: String?) throws(MungeError) -> MungeCredential {
        let context = try makeContext(socket: socket)
        defer { munge_ctx_destroy(context) }
        var payload: UnsafeMutableRawPointer?
        var length: Int32 = 0
        var uid: uid_t = 0
        var gid: gid_t = 0
        let status = munge_decode(credential, context, &payload, &length, &uid, &gid)
        // Expired and replayed credentials come with a payload too: it is freed and not looked at.
        defer { free(payload) }
        try check(status, context, "believe a credential")
        var encoded: time_t = 0
        try check(cmunge_get_encode_time(context, &encoded), context, "read a credential's time")
        let bytes = payload.map { Data(bytes: $0, count: Int(length)) } ?? Data()
        return MungeCredential(
            payload: bytes, user: UserID(uid), group: gid,
            encodedAt: Timestamp(nanosecondsSinceEpoch: Int64(encoded) * 1_000_000_000))
    }

    private static func makeContext(socket: String?) throws(MungeError) -> munge_ctx_t {
        guard let context = munge_ctx_create() else {
            throw MungeError(kind: .failed, description: "no memory for a MUNGE context")
        }
        if let socket, cmunge_set_socket(context, socket) != EMUNGE_SUCCESS {
            munge_ctx_destroy(context)
            throw MungeError(kind: .failed, description: "munge.socket '\(socket)' is no good path")
        }
        return context
    }

    private static func check(_ status: munge_err_t, _ context: munge_ctx_t, _ what: String) throws(MungeError) {
        guard status != EMUNGE_SUCCESS else { return }
        let words = munge_ctx_strerror(context).map { String(cString: $0) } ?? String(cString: munge_strerror(status))
        var path: UnsafeMutablePointer<CChar>?
        _ = cmunge_get_socket(context, &path)
        let socket = path.map { String(cString: $0) } ?? "its socket"
        let (kind, advice): (MungeError.Kind, String) =
            switch status {
            case EMUNGE_SOCKET, EMUNGE_TIMEOUT:
                (
                    .unreachable,
                    "munged does not answer at \(socket): start it (systemctl start munge) or set munge.socket"
                )
            case EMUNGE_CRED_REPLAYED: (.replayed, "it was used before, and each counts once")
            case EMUNGE_CRED_EXPIRED: (.expired, "it has expired; if it is new, the hosts' clocks differ")
            case EMUNGE_CRED_REWOUND: (.rewound, "it was made in the future: set the hosts' clocks (chrony, ntp)")
            case EMUNGE_CRED_UNAUTHORIZED: (.restricted, "it is meant for another uid than \(getuid())")
            case EMUNGE_BAD_CRED, EMUNGE_BAD_VERSION, EMUNGE_BAD_CIPHER, EMUNGE_BAD_MAC, EMUNGE_BAD_ZIP,
                EMUNGE_BAD_REALM:
                (.invalid, "it is no MUNGE credential")
            case EMUNGE_CRED_INVALID: (.invalid, "it was made with another key: the hosts need one munge.key")
            default: (.failed, "see munged's log")
            }
        throw MungeError(kind: kind, description: "cannot \(what): \(words); \(advice)")
    }
}

extension MungeError {
    /// As it crosses a process boundary: `unavailable` when munged is at fault, else `refused`.
    public var wireError: WireError {
        WireError(kind == .unreachable || kind == .failed ? .unavailable : .refused, description)
    }
}
