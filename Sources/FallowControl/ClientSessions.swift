internal import FallowModel
internal import Synchronization

/// The sessions that a daemon has agreed on with the servers that it asks often.
final class ClientSessions: Sendable {
    private struct Session {
        var key: SessionKey
        /// Of the session before: replies may still be on their way.
        var previous: SessionKey?
        var ends: ContinuousClock.Instant
        var lastNumber: UInt64 = 0
    }
    private let sessions = Mutex<[String: Session]>([:])

    /// The key and the number of the next request to a server; nil where none was agreed on.
    func next(_ base: String) -> (key: SessionKey, number: UInt64)? {
        sessions.withLock { sessions in
            guard var session = sessions[base] else { return nil }
            guard session.ends > .now else { return nil }
            session.lastNumber += 1
            sessions[base] = session
            return (session.key, session.lastNumber)
        }
    }

    /// A server has replied to the request that carried a key.
    func begin(_ base: String, _ key: SessionKey) {
        sessions.withLock { sessions in
            // Nodes come and go; those still there agree on another.
            if sessions.count >= 1024 { sessions = [:] }
            sessions[base] = Session(key: key, previous: sessions[base]?.key, ends: .now + SessionKey.life)
        }
    }

    /// The key of a server's session, as long as its replies may be on their way; nil: there was none by that id.
    func key(_ base: String, id: String) -> SessionKey? {
        sessions.withLock { sessions in
            guard let session = sessions[base] else { return nil }
            return session.key.id == id ? session.key : session.previous?.id == id ? session.previous : nil
        }
    }

    /// The server knows a key no more.
    func end(_ base: String, _ key: SessionKey) {
        sessions.withLock { sessions in
            if sessions[base]?.key == key { sessions[base]?.ends = .now }
        }
    }
}
