public import FallowWire
internal import HTTPTypes
public import Hummingbird
internal import NIOCore

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

extension WireError {
    /// The HTTP status that goes with the code.
    public var status: HTTPResponse.Status {
        switch code {
        case .invalid, .libraryUnusable: .badRequest
        case .refused: .forbidden
        case .notFound: .notFound
        case .conflict: .conflict
        case .noCapacity, .unavailable: .serviceUnavailable
        case .tooMany: .tooManyRequests
        case .internalError: .internalServerError
        }
    }

    /// Any error as what may be said to a caller.
    static func from(_ error: any Error) -> (status: HTTPResponse.Status, body: WireError) {
        switch error {
        case let error as WireError: return (error.status, error)
        case let error as MungeError: return (error.wireError.status, error.wireError)
        case let error as HTTPError:
            let code: Code =
                switch error.status {
                case .notFound: .notFound
                case .unauthorized, .forbidden: .refused
                case .contentTooLarge: .invalid
                case .serviceUnavailable: .unavailable
                case .internalServerError: .internalError
                default: .invalid
                }
            return (error.status, WireError(code, error.body ?? "\(error.status)"))
        case is NIOTooManyBytesError:
            return (
                .contentTooLarge,
                WireError(.invalid, "the body is over the limit of \(ControlJSON.largestBody) bytes")
            )
        case is CancellationError:
            return (.serviceUnavailable, WireError(.unavailable, "the server is stopping; try again"))
        default:
            return (.internalServerError, WireError(.internalError, "the server failed: \(error)"))
        }
    }
}

extension Response {
    /// A JSON reply.
    public init(json value: some Encodable, status: HTTPResponse.Status = .ok) throws {
        let data = try ControlJSON.encode(value)
        self.init(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
    }
    /// An error as every route gives it: a `WireError` in JSON.
    static func error(_ status: HTTPResponse.Status, _ error: WireError) -> Response {
        (try? Response(json: error, status: status)) ?? Response(status: status)
    }
}

extension Request {
    /// The body, read by the middleware already, as JSON.
    ///
    /// - Throws: `WireError` `invalid` with the place and what was expected there.
    public func json<Value: Decodable>(_ type: Value.Type) async throws -> Value {
        let buffer = try await body.collect(upTo: ControlJSON.largestBody)
        return try ControlJSON.decode(type, from: Data(buffer.readableBytesView))
    }
}
