internal import FallowModel
internal import Synchronization

/// The sessions that a daemon has agreed on with the servers that it asks often.
final class ClientSessions: Sendable {
    private struct Session {
        var key: SessionKey
        var ends: ContinuousClock.Instant
        var lastNumber: UInt64 = 0
    }
    private let sessions = Mutex<[String: Session]>([:])

    /// The key and the number of the next request to a server; nil where none was agreed on.
    func next(_ base: String) -> (key: SessionKey, number: UInt64)? {
        sessions.withLock { sessions in
            guard var session = sessions[base] else { return nil }
            guard session.ends > .now else {
                sessions[base] = nil
                return nil
            }
            session.lastNumber += 1
            sessions[base] = session
            return (session.key, session.lastNumber)
        }
    }

    /// A server has replied to the request that carried a key.
    func begin(_ base: String, _ key: SessionKey) {
        let session = Session(key: key, ends: .now + SessionKey.life)
        sessions.withLock { sessions in
            // Nodes come and go; those still there agree on another.
            if sessions.count >= 1024 { sessions = [:] }
            sessions[base] = session
        }
    }

    /// The server knows a key no more.
    func end(_ base: String, _ key: SessionKey) {
        sessions.withLock { sessions in
            if sessions[base]?.key == key { sessions[base] = nil }
        }
    }
}
