public import FallowModel
internal import FallowWire
internal import HTTPTypes
public import Hummingbird
internal import Logging

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Verifies each request's seal, says who calls, turns errors into JSON, and seals the replies.
public struct SealMiddleware: RouterMiddleware {
    public typealias Context = ControlContext

    let munge: Munge
    let trustedUsers: [UserID]
    let openPaths: Set<String>
    let openPrefix: String?
    let streamingPrefix: String?
    private let sessions = ServerSessions()

    /// - Parameters:
    ///   - trustedUsers: uids whose word as a daemon is believed (munge.trusted_uids).
    ///   - openPaths: paths that need no seal; their routes say who may have them.
    ///   - openPrefix: no seal is looked for under it, and its routes read bodies themselves.
    ///   - streamingPrefix: a `PUT` under it has its body left to the route, which checks it with `receiveBody`.
    public init(
        munge: Munge, trustedUsers: [UserID], openPaths: Set<String> = ["/v1/health", "/metrics"],
        openPrefix: String? = nil, streamingPrefix: String? = nil
    ) {
        self.munge = munge
        self.trustedUsers = trustedUsers
        self.openPaths = openPaths
        self.openPrefix = openPrefix
        self.streamingPrefix = streamingPrefix
    }

    public func handle(
        _ request: Request, context: ControlContext,
        next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        var seal: VerifiedSeal?
        var response: Response
        do {
            var request = request
            var context = context
            if let openPrefix, request.uri.path.hasPrefix(openPrefix) { return try await next(request, context) }
            if let credential = sealHeader(of: request) {
                let verified =
                    SessionSeal.isSession(credential)
                    ? try verify(sessionSeal: credential, request) : try await verify(credential, request)
                seal = verified
                context.caller = verified.caller
                context.sealedBodyDigest = verified.bodySHA256
                if case .session(let key, _) = verified.reply { context.sessionKey = key }
            } else if !openPaths.contains(request.uri.path) {
                throw HTTPError(
                    .unauthorized,
                    message:
                        "\(request.method) \(request.uri.path) needs the header \(Seal.header): a MUNGE credential of"
                        + " the request, as docs/protocol.md describes it")
            }
            if !isStreaming(request) {
                let body = try await boundedBody(of: request)
                if let digest = seal?.bodySHA256, Seal.digest(body.readableBytesView) != digest {
                    throw HTTPError(.unauthorized, message: "the body is not the one that was sealed")
                }
                request.body = RequestBody(buffer: body)
            }
            response = try await next(request, context)
        } catch {
            let (status, body) = WireError.from(error)
            if status.kind == .serverError, body.code != .noCapacity {
                context.logger.warning("\(request.method) \(request.uri.path): \(body.message)")
            }
            response = .error(status, body)
        }
        if let seal { response = await sealed(response, seal, request.method) }
        return response
    }

    private func isStreaming(_ request: Request) -> Bool {
        guard let streamingPrefix, request.method == .put else { return false }
        return request.uri.path.hasPrefix(streamingPrefix)
    }

    private func sealHeader(of request: Request) -> String? {
        HTTPField.Name(Seal.header).flatMap { request.headers[$0] }
    }

    /// The whole body, within the size limit and 30 s.
    private func boundedBody(of request: Request) async throws -> ByteBuffer {
        try await withThrowingTaskGroup(of: ByteBuffer?.self) { group in
            group.addTask { try await request.body.collect(upTo: ControlJSON.largestBody) }
            group.addTask {
                try await Task.sleep(for: .seconds(30))
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let body = first else {
                throw HTTPError(.requestTimeout, message: "the body did not arrive within 30 s")
            }
            return body
        }
    }

    private func verify(_ credential: String, _ request: Request) async throws -> VerifiedSeal {
        let proof: MungeCredential
        do {
            proof = try await munge.decode(credential)
        } catch let error as MungeError where error.wireError.code == .refused {
            throw HTTPError(.unauthorized, message: error.description)
        }
        guard let seal = try? ControlJSON.decode(RequestSeal.self, from: proof.payload) else {
            throw HTTPError(.unauthorized, message: "the credential's payload is no request seal")
        }
        guard seal.method == request.method.rawValue, seal.path == request.head.path ?? "" else {
            throw HTTPError(.unauthorized, message: "the seal is for \(seal.method) \(seal.path), not for this request")
        }
        guard seal.expires > Timestamp.now else { throw HTTPError(.unauthorized, message: "the seal has expired") }
        let isDaemon = trustedUsers.contains(proof.user) && seal.node != nil
        let caller = Caller(user: proof.user, group: proof.group, node: seal.node, isDaemon: isDaemon)
        if let key = seal.sessionKey { sessions.begin(seal.id, keyHexadecimal: key, caller) }
        return VerifiedSeal(caller: caller, bodySHA256: seal.bodySHA256, reply: .munge(id: seal.id))
    }

    private func verify(sessionSeal header: String, _ request: Request) throws -> VerifiedSeal {
        guard let seal = SessionSeal(header: header) else {
            throw HTTPError(.unauthorized, message: "the session's seal is malformed; see docs/protocol.md")
        }
        guard seal.expires > Timestamp.now else { throw HTTPError(.unauthorized, message: "the seal has expired") }
        do {
            let (key, caller) = try sessions.check(
                seal, method: request.method.rawValue, path: request.head.path ?? "")
            return VerifiedSeal(
                caller: caller, bodySHA256: seal.bodySHA256, reply: .session(key, number: seal.number))
        } catch {
            throw HTTPError(.unauthorized, message: error.description)
        }
    }

    /// The reply with its own seal, which only the caller can open.
    private func sealed(
        _ response: Response, _ seal: VerifiedSeal, _ method: HTTPRequest.Method
    ) async -> Response {
        do {
            let body = try await CollectingWriter.bytes(of: response.body)
            let sent = method == .head ? ByteBuffer() : body
            let header = try await replyHeader(
                seal, status: response.status.code, bodySHA256: Seal.digest(sent.readableBytesView))
            var sealed = Response(
                status: response.status, headers: response.headers, body: ResponseBody(byteBuffer: body))
            if let name = HTTPField.Name(Seal.header) { sealed.headers[name] = header }
            return sealed
        } catch {
            let (status, body) = WireError.from(error)
            return .error(status, body)
        }
    }

    private func replyHeader(_ seal: VerifiedSeal, status: Int, bodySHA256: String) async throws -> String {
        switch seal.reply {
        case .munge(let id):
            try await munge.encode(
                ControlJSON.encode(ReplySeal(id: id, status: status, bodySHA256: bodySHA256)),
                restrictTo: seal.caller.user, timeToLive: Seal.life)
        case .session(let key, let number):
            SessionSeal.replyHeader(key.code(ofReplyTo: number, status: status, bodySHA256: bodySHA256))
        }
    }
}

/// What a request's seal proved, and how its reply is sealed.
private struct VerifiedSeal {
    enum Reply {
        case munge(id: String)
        case session(SessionKey, number: UInt64)
    }
    var caller: Caller
    var bodySHA256: String
    var reply: Reply
}

/// Collects a reply's body, whatever it is made of, so that it can be sealed.
private final class CollectingWriter: ResponseBodyWriter {
    private var buffer = ByteBuffer()

    func write(_ part: ByteBuffer) async throws {
        var part = part
        buffer.writeBuffer(&part)
        guard buffer.readableBytes <= ControlJSON.largestReply else {
            throw WireError(.internalError, "the reply is over \(ControlJSON.largestReply) bytes; ask for less")
        }
    }
    func finish(_ trailingHeaders: HTTPFields?) async throws {}

    static func bytes(of body: ResponseBody) async throws -> ByteBuffer {
        let writer = CollectingWriter()
        try await body.write(writer)
        return writer.buffer
    }
}
