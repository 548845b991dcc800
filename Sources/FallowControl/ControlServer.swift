internal import FallowWire
public import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore

/// An HTTP server for sealed requests, as fallowctld and fallowd run it.
public struct ControlServer: Sendable {
    public let host: String
    public let port: Int
    private let responder: RouterResponder<ControlContext>
    private let logger: Logger
    private let maximumConnections: Int

    /// - Parameters:
    ///   - listen: `host:port` or `[v6 address]:port`; port 0 takes a free one.
    ///   - router: from `makeRouter`.
    /// - Throws: `WireError` `invalid`: `listen` is no such text.
    public init(listen: String, router: Router<ControlContext>, logger: Logger, maximumConnections: Int = 4096) throws {
        (host, port) = try Self.parse(listen)
        responder = router.buildResponder()
        self.logger = logger
        self.maximumConnections = maximumConnections
    }

    /// A router whose every route goes through `seal`, unknown ones included.
    public static func makeRouter(_ seal: SealMiddleware) -> Router<ControlContext> {
        let router = Router(context: ControlContext.self)
        router.add(middleware: seal)
        router.add(middleware: UnknownRoutes())
        return router
    }

    /// Serves until the task is cancelled; requests under way are then answered first.
    ///
    /// - Parameter onListening: called once with the real port.
    /// - Throws: `WireError` `unavailable`: the address cannot be listened on.
    public func run(onListening: @escaping @Sendable (Int) async -> Void) async throws {
        let application = Application(
            responder: responder,
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    idleTimeout: .seconds(60),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "fallow", reuseAddress: true,
                availableConnectionsDelegate: MaximumAvailableConnections(maximumConnections)),
            onServerRunning: { channel in await onListening(channel.localAddress?.port ?? 0) },
            logger: logger)
        do {
            try await application.run()
        } catch let error as IOError {
            throw WireError(.unavailable, "cannot listen on \(host):\(port): \(error)")
        } catch is CancellationError {
        }
    }

    static func parse(_ listen: String) throws(WireError) -> (host: String, port: Int) {
        let wrong = WireError(.invalid, "'\(listen)' is no address to listen on; 127.0.0.1:6880 or [::1]:6880 is")
        guard let colon = listen.lastIndex(of: ":"), let port = UInt16(listen[listen.index(after: colon)...]) else {
            throw wrong
        }
        var host = String(listen[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { throw wrong }
        return (host, Int(port))
    }
}

/// Says which path is unknown, instead of an empty 404.
private struct UnknownRoutes: RouterMiddleware {
    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound && error.body == nil {
            throw WireError(.notFound, "there is no \(request.method) \(request.uri.path); see docs/openapi.yaml")
        }
    }
}
