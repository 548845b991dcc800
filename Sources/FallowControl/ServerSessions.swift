internal import FallowDigest
internal import FallowModel
internal import Synchronization

/// The sessions that a server has agreed on with daemons. Bounded; one that ends or finds no room costs its client one more request.
final class ServerSessions: Sendable {
    static let limit = 65_536

    private struct Session {
        var key: SessionKey
        var caller: Caller
        var ends: ContinuousClock.Instant
        var window = ReplayWindow()
    }
    private let sessions = Mutex<[String: Session]>([:])

    /// Keeps what a verified request brought. Nothing happens when it is no key, or too many are kept.
    func begin(_ id: String, keyHexadecimal: String, _ caller: Caller) {
        guard caller.isDaemon, let bytes = Seal.bytes(hexadecimal: keyHexadecimal[...]),
            bytes.count == SessionKey.byteCount
        else { return }
        let now = ContinuousClock.now
        // Longer than the client keeps it: what is on its way at the end still counts.
        let session = Session(
            key: SessionKey(id: id, bytes: bytes), caller: caller, ends: now + SessionKey.life + Seal.life)
        sessions.withLock { sessions in
            if sessions.count >= Self.limit { sessions = sessions.filter { $0.value.ends > now } }
            guard sessions.count < Self.limit else { return }
            sessions[id] = session
        }
    }

    enum Refusal: Error, Hashable, CustomStringConvertible {
        /// Ended, or the server is another since.
        case unknown
        case wrongCode
        case replayed

        var description: String {
            switch self {
            case .unknown: "no such session is known here: seal the request by MUNGE"
            case .wrongCode: "the seal is for another request, or by another key"
            case .replayed: "the request was sent before, and each counts once"
            }
        }
    }

    /// Whose request it is, once.
    func check(
        _ seal: SessionSeal, method: String, path: String
    ) throws(Refusal) -> (key: SessionKey, caller: Caller) {
        let outcome: Result<(SessionKey, Caller), Refusal> = sessions.withLock { sessions in
            guard var session = sessions[seal.id], session.ends > .now else { return .failure(.unknown) }
            let code = session.key.code(
                ofRequest: seal.number, expires: seal.expires, method: method, path: path,
                bodySHA256: seal.bodySHA256)
            guard agreeInConstantTime(code, seal.code, bytes: HMACSHA256.byteCount) else {
                return .failure(.wrongCode)
            }
            guard session.window.take(seal.number) else { return .failure(.replayed) }
            sessions[seal.id] = session
            return .success((session.key, session.caller))
        }
        let (key, caller) = try outcome.get()
        return (key, caller)
    }
}
