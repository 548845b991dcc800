public import FallowControl
internal import FallowModel
internal import FallowReporting
internal import FallowWire
public import Hummingbird

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// fallowctld's web page: everything below `/web/`, and the way there.
public struct WebPages: Sendable {
    /// Under it no request carries a seal; `WebAccess` says who may read.
    public static let prefix = "/web"

    let source: any WebSource
    let settings: WebSettings
    let names = UserNames()
    let access: WebAccess
    let hub: LiveHub
    let pages: PageResponse
    let files: StaticFiles
    let reports = AnswerCache<ReportKey, CapacityReport>(life: .seconds(10), limit: 64)
    let seriesAnswers = AnswerCache<Span, CapacitySeries>(life: .seconds(20), limit: 8)

    struct ReportKey: Hashable, Sendable {
        var span: Span
        var user: UserID?
    }

    /// Reads the chart library, once.
    ///
    /// - Throws: a template that is none, which is a mistake of the build.
    public init(source: any WebSource, settings: WebSettings) throws {
        self.source = source
        self.settings = settings
        access = WebAccess(settings: settings, names: names)
        hub = LiveHub(source: source, names: names, silentAfter: settings.silentAfter)
        pages = try PageResponse()
        files = StaticFiles(
            chartLibrary: FileManager.default.contents(atPath: settings.chartLibrary).map { [UInt8]($0) })
    }

    /// Whether Chart.js was found; without it the page shows tables.
    public var hasCharts: Bool { files.hasCharts }

    /// Keeps browsers up to date until the task is cancelled.
    public func run() async throws { try await hub.run() }
    /// Ends all live streams, so that a stop need not wait for browsers.
    public func close() async { await hub.close() }
    /// Browsers that look live.
    public func viewers() async -> Int { await hub.count }

    public func add(to router: Router<ControlContext>) {
        router.get("/") { _, _ in Self.redirect("web/") }
        router.get("/web") { request, context in
            // Links are relative to the folder.
            guard request.uri.path.hasSuffix("/") else { return Self.redirect("web/") }
            return await page(request, context, root: "") { try await overview(request, $0) }
        }
        router.get("/web/jobs/{id}") { request, context in
            await page(request, context, root: "../") { try await job(context, $0) }
        }
        router.get("/web/series") { request, context in
            let viewer = try await access.viewer(request, context)
            return try await series(request, viewer)
        }
        router.get("/web/live") { request, context in
            let viewer = try await access.viewer(request, context)
            return try await live(request, viewer)
        }
        router.get("/web/static/{file}") { request, context in
            try files.response(try context.parameter("file"), request)
        }
        router.post("/web/sign-in") { request, context in await signIn(request, context) }
    }

    static func redirect(_ path: String) -> Response {
        var headers = PageResponse.headers
        headers[.location] = path
        return Response(status: .seeOther, headers: headers)
    }

    /// A page for who may see it; for others, and when something fails, a page that says so.
    private func page(
        _ request: Request, _ context: ControlContext, root: String, _ body: (Viewer) async throws -> Response
    ) async -> Response {
        do {
            return try await body(try await access.viewer(request, context))
        } catch {
            return message(error, root: root, context)
        }
    }

    func message(_ error: any Error, root: String, _ context: ControlContext) -> Response {
        let error = error as? WireError ?? WireError(.internalError, "the page cannot be made: \(error)")
        let heading =
            switch error.code {
            case .refused: "This page is not open to you"
            case .notFound: "Not found"
            case .invalid: "This address makes no sense"
            default: "Something is in the way"
            }
        if error.status.kind == .serverError { context.logger.warning("page: \(error.message)") }
        let model = MessagePage(
            frame: frame(heading, root: root), heading: heading, sentence: error.message,
            offersSignIn: error.code == .refused && settings.readerTokenFile != nil)
        return (try? pages.response("message", model, status: error.status)) ?? Response(status: error.status)
    }

    func frame(_ title: String, root: String, _ viewer: Viewer? = nil, name: String? = nil) -> PageFrame {
        let word: String? =
            switch viewer {
            case .user: name
            case .operator: name.map { "\($0), operator" }
            case .reader, nil: nil
            }
        return PageFrame(
            title: title, cluster: settings.cluster, version: settings.version, root: root, hasCharts: files.hasCharts,
            viewer: word, now: Moment(.now))
    }
}
