internal import FallowDigest
public import FallowModel
internal import FallowWire

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Sends sealed requests to fallowctld and fallowd, and believes only sealed replies.
///
/// Connections are kept and shared by the whole process; nothing has to be shut down.
public struct SealedClient: Sendable {
    /// The node whose daemon speaks; nil for a user's program.
    public let node: NodeName?
    public let trustedUsers: [UserID]
    private let munge: Munge
    /// A daemon's: it asks often.
    let sessions: ClientSessions?

    /// - Parameters:
    ///   - trustedUsers: uids that a daemon may run as (munge.trusted_uids). The first is the one that daemons do run as:
    ///     requests are sealed for it alone; replies of all of them are believed.
    ///   - node: the node whose daemon speaks; nil for a user's program.
    public init(munge: Munge, trustedUsers: [UserID], node: NodeName? = nil) {
        self.munge = munge
        self.trustedUsers = trustedUsers
        self.node = node
        sessions = node == nil ? nil : ClientSessions()
    }

    /// Sends a request with a JSON body and decodes the reply.
    ///
    /// - Parameters:
    ///   - base: `http://host:port`.
    ///   - path: with the query; every part percent-encoded (`escape`).
    ///   - attempts: how often it is tried while the server cannot be reached or does not answer, inside `timeout`. More than
    ///     one only for what may be repeated.
    ///   - timeout: for everything together.
    /// - Throws: `WireError`: the server's own; `unavailable` when nobody answers in time or munged does not; `refused`
    ///   when the reply's seal is wrong.
    public func send<Reply: Decodable & Sendable>(
        _ method: HTTPVerb, _ base: String, _ path: String, body: (any Encodable & Sendable)? = nil,
        timeout: Duration = .seconds(5), attempts: Int = 1, reply: Reply.Type = Reply.self
    ) async throws -> Reply {
        let (data, _) = try await exchange(method, base, path, body: body, timeout: timeout, attempts: attempts)
        return try Self.decodeReply(Reply.self, data, base)
    }

    /// As `send`, for a reply whose body does not matter.
    public func sendIgnoringReply(
        _ method: HTTPVerb, _ base: String, _ path: String, body: (any Encodable & Sendable)? = nil,
        timeout: Duration = .seconds(5), attempts: Int = 1
    ) async throws {
        _ = try await exchange(method, base, path, body: body, timeout: timeout, attempts: attempts)
    }

    /// As `send`, for a reply with parts that only this client can read.
    public func sendForLetters<Reply: Decodable & Sendable>(
        _ method: HTTPVerb, _ base: String, _ path: String, body: (any Encodable & Sendable)? = nil,
        timeout: Duration = .seconds(5), attempts: Int = 1, reply: Reply.Type = Reply.self
    ) async throws -> (reply: Reply, letters: Letters) {
        let (data, key) = try await exchange(method, base, path, body: body, timeout: timeout, attempts: attempts)
        return (try Self.decodeReply(Reply.self, data, base), Letters(key: key, base: base))
    }

    private func exchange(
        _ method: HTTPVerb, _ base: String, _ path: String, body: (any Encodable & Sendable)?, timeout: Duration,
        attempts: Int
    ) async throws -> (Data, SessionKey?) {
        let data = try body.map { try ControlJSON.encode($0) } ?? Data()
        let deadline = ContinuousClock.now + timeout
        var tried = 0
        while true {
            tried += 1
            let rest = deadline - ContinuousClock.now
            do {
                return try await once(
                    method, base, path, .bytes(Array(data)), digest: Seal.digest(data),
                    timeout: max(rest, .milliseconds(1)))
            } catch let failure as NoAnswer {
                let pause = Duration.milliseconds(50 << min(tried, 5))
                guard tried < attempts, ContinuousClock.now + pause < deadline else { throw failure.error }
                try await Task.sleep(for: pause)
            }
        }
    }

    /// One request and its verified reply: sealed by a session's key where there is one, by MUNGE otherwise, and also where the server
    /// has forgotten the session.
    /// - Returns: the reply's body, and the key of the session that it belongs to, by which its letters are read however long it took.
    func once(
        _ method: HTTPVerb, _ base: String, _ path: String, _ body: HTTPCall.Body, digest: String,
        timeout: Duration
    ) async throws -> (Data, SessionKey?) {
        let deadline = ContinuousClock.now + timeout
        if let sessions, let (key, number) = sessions.next(base) {
            let seal = SessionSeal(
                key, number: number, method: method.rawValue, path: path, bodySHA256: digest,
                expires: .now + Seal.life)
            let reply = try await reply(to: method, base, path, body, sealedBy: seal.header, timeout)
            if reply.header != nil || reply.status != 401 {
                let code = reply.header.flatMap(SessionSeal.replyCode)
                let data = try believe(reply, method, base, path) { status, bodySHA256 in
                    code.map {
                        agreeInConstantTime(
                            key.code(ofReplyTo: number, status: status, bodySHA256: bodySHA256), $0,
                            bytes: HMACSHA256.byteCount)
                    }
                }
                return (data, key)
            }
            sessions.end(base, key)
        }
        let data = try await onceByMunge(
            method, base, path, body, digest: digest, timeout: max(deadline - .now, .milliseconds(1)))
        return (data, nil)
    }

    private func onceByMunge(
        _ method: HTTPVerb, _ base: String, _ path: String, _ body: HTTPCall.Body, digest: String,
        timeout: Duration
    ) async throws -> Data {
        let id = Seal.randomID()
        let key = sessions.map { _ in
            SessionKey(id: id, bytes: (0..<SessionKey.byteCount).map { _ in .random(in: .min ... .max) })
        }
        let seal = RequestSeal(
            method: method.rawValue, path: path, bodySHA256: digest, node: node, expires: .now + Seal.life, id: id,
            sessionKey: key.map { Seal.hexadecimal($0.bytes) })
        let credential: String
        do {
            credential = try await munge.encode(
                ControlJSON.encode(seal), restrictTo: trustedUsers.first, timeToLive: Seal.life)
        } catch let error as MungeError {
            throw error.wireError
        }
        let reply = try await reply(to: method, base, path, body, sealedBy: credential, timeout)
        let proof = try await proof(of: reply, base)
        let said = try proof.map { try ControlJSON.decode(ReplySeal.self, from: $0.payload) }
        if let key, said != nil { sessions?.begin(base, key) }
        return try believe(reply, method, base, path) { status, bodySHA256 in
            said.map { $0.id == seal.id && $0.status == status && $0.bodySHA256 == bodySHA256 }
        }
    }

    /// - Throws: `NoAnswer`.
    private func reply(
        to method: HTTPVerb, _ base: String, _ path: String, _ body: HTTPCall.Body, sealedBy seal: String,
        _ timeout: Duration
    ) async throws -> HTTPReply {
        let call = HTTPCall(
            method: method, url: base + path,
            headers: [("Content-Type", "application/json"), (Seal.header, seal)],
            body: method == .get || method == .head ? nil : body, timeout: timeout,
            largestReply: ControlJSON.largestReply, wantedHeader: Seal.header)
        do {
            return try await HTTPEngine.shared.reply(to: call)
        } catch let failure as HTTPFailure {
            throw NoAnswer(error: WireError(.unavailable, Self.sentence(failure, base, timeout)))
        }
    }

    /// Who sealed a reply, by munged's word; nil: it carries no seal.
    private func proof(of reply: HTTPReply, _ base: String) async throws -> MungeCredential? {
        guard let credential = reply.header else { return nil }
        let proof: MungeCredential
        do {
            proof = try await munge.decode(credential)
        } catch let error as MungeError {
            throw WireError(error.wireError.code, "the reply of \(base): \(error.description)")
        }
        guard trustedUsers.contains(proof.user) else {
            throw WireError(
                .refused,
                "\(base) runs as uid \(proof.user), which is none of munge.trusted_uids: its reply is not believed")
        }
        return proof
    }

    /// Checks a reply against its seal; an error reply is thrown as the server's own `WireError`.
    ///
    /// - Parameter isSealed: whether the seal is for a reply of this status and body; nil: there is none.
    private func believe(
        _ reply: HTTPReply, _ method: HTTPVerb, _ base: String, _ path: String,
        isSealed: (_ status: Int, _ bodySHA256: String) -> Bool?
    ) throws -> Data {
        let (status, body) = (reply.status, Data(reply.body))
        let words = try? ControlJSON.decode(WireError.self, from: body)
        guard let isSealed = isSealed(status, Seal.digest(body)) else {
            // The server could not even tell who asks, so it could not seal its reply.
            let said = words.map { ": it says (unsealed): \($0.message)" } ?? " (HTTP status \(status))"
            let code: WireError.Code = status == 503 ? .unavailable : .refused
            throw WireError(code, "\(base) sent no sealed reply\(said)")
        }
        guard isSealed else {
            throw WireError(.refused, "the reply of \(base) is not the one that was sealed for this request")
        }
        guard (200..<300).contains(status) else {
            throw words
                ?? WireError(
                    status == 404 ? .notFound : .internalError,
                    "\(base) answered \(method.rawValue) \(path) with \(status)")
        }
        return body
    }

    private static func decodeReply<Reply: Decodable>(_ type: Reply.Type, _ data: Data, _ base: String) throws -> Reply
    {
        do {
            return try ControlJSON.decode(type, from: data)
        } catch let error as WireError {
            throw WireError(
                .internalError, "cannot read the reply of \(base) (is it another version?): \(error.message)")
        }
    }

    private static func sentence(_ failure: HTTPFailure, _ base: String, _ timeout: Duration) -> String {
        switch failure {
        case .timedOut: "\(base) did not answer within \((timeout.inSeconds * 1000).rounded() / 1000) s"
        case .badAddress: "'\(base)' is no address to ask; http://host:port is"
        case .replyTooLarge: "the reply of \(base) has more than \(ControlJSON.largestReply) bytes"
        case .failed(let words): "cannot reach \(base): \(words)"
        }
    }

    /// Percent-encodes one part of a path or a query value.
    public static func escape(_ part: String) -> String {
        var result = ""
        for byte in part.utf8 {
            let scalar = Unicode.Scalar(byte)
            let plain =
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "-._~".unicodeScalars.contains(scalar)
            result += plain ? String(scalar) : "%" + Seal.hexadecimal([byte]).uppercased()
        }
        return result
    }
}

/// The methods that our API uses.
public enum HTTPVerb: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
}

/// Nobody answered: the only failure that another attempt may mend.
struct NoAnswer: Error {
    var error: WireError
}
