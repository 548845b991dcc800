internal import FallowControl
internal import FallowModel
internal import FallowReporting
internal import FallowWire
internal import Foundation
internal import HTTPTypes
internal import Hummingbird

extension WebPages {
    /// More nodes than this share rows of the heat map.
    private static let heatRows = 200

    func overview(_ request: Request, _ viewer: Viewer) async throws -> Response {
        let span = try Span.parse(request.uri.queryParameters["since"].map { String($0) })
        let sight = Sight(viewer, await source.privateData())
        let tiles = NodeTile.tiles(await source.nodes(), silentAfter: settings.silentAfter)
        let figures = Figures(tiles, await source.status())
        let running = await source.leases()
        // What is now is shown also where the history cannot be read.
        var problem = source.historyProblem
        var ended: [LeaseView] = []
        var report: CapacityReport?
        var data: SeriesData?
        do {
            ended = try await source.endedLeases(limit: LeaseBoard.limit)
            report = sight.filtered(try await self.report(span, sight))
            let series = try await self.series(span)
            data = SeriesData(series, until: .now, showsNodes: sight.nodes)
        } catch let error as WireError {
            problem = error.message
        }
        var users = Set((running + ended).map(\.user))
        for share in (report?.lenders ?? []).prefix(10) + (report?.borrowers ?? []).prefix(10) {
            users.insert(share.user)
        }
        users.formUnion(report?.jobs.map(\.user) ?? [])
        if let user = sight.user { users.insert(user) }
        let known = await names.names(of: users)
        var frame = frame("Capacity", root: "", viewer, name: sight.user.flatMap { known[$0] })
        frame.isOverview = true
        var page = OverviewPage(
            frame: frame, span: span, now: .now, tiles: tiles, figures: figures,
            board: LeaseBoard(running: running, ended: ended, sight, known), sight: sight)
        page.historyProblem = problem
        if let report { page.add(report, known) }
        if let data { page.add(data) }
        return try pages.response("overview", page)
    }

    func series(_ request: Request, _ viewer: Viewer) async throws -> Response {
        let span = try Span.parse(request.uri.queryParameters["since"].map { String($0) })
        let sight = Sight(viewer, await source.privateData())
        return try PageResponse.json(
            SeriesData(try await series(span), until: .now, showsNodes: sight.nodes))
    }

    func job(_ context: ControlContext, _ viewer: Viewer) async throws -> Response {
        let text = try context.parameter("id")
        guard let number = UInt32(text), number > 0 else {
            throw WireError(.invalid, "'\(text)' is no job id: a whole number is")
        }
        let id = JobID(number)
        let sight = Sight(viewer, await source.privateData())
        var question = WebQuestion(since: .now + .seconds(-3600), until: .now, job: id)
        if !sight.jobs { question.viewer = sight.user }
        let jobs = sight.filtered(try await source.report(question)).jobs
        // Whether there is such a job is not told to whom it is hidden from.
        guard !jobs.isEmpty else {
            throw WireError(
                .notFound,
                sight.jobs
                    ? "the history knows of no job \(id)"
                    : "there is no job \(id) that you may see: Slurm's PrivateData hides jobs of others")
        }
        let ids = Set(jobs.map(\.facts.jobID))
        let views = await source.jobs().filter { ids.contains($0.job.jobID) }
        func beneath(_ leases: [LeaseView]) -> [LeaseView] { leases.filter { $0.beneath.map(ids.contains) ?? false } }
        let running = beneath(await source.leases())
        let ended = beneath(try await source.endedLeases(limit: 1000))
        let known = await names.names(
            of: jobs.map(\.user) + (running + ended).map(\.user) + [sight.user].compactMap { $0 })
        let page = JobPage(
            frame: frame("Job \(id)", root: "../", viewer, name: sight.user.flatMap { known[$0] }), jobs: jobs,
            views: views, board: LeaseBoard(running: running, ended: ended, sight, known), asked: id, names: known)
        return try pages.response("job", page)
    }

    /// Server-sent events until the browser goes, does not keep up, or fallowctld stops.
    func live(_ request: Request, _ viewer: Viewer) async throws -> Response {
        let (id, events) = try await hub.subscribe(viewer)
        let hub = hub
        var headers = PageResponse.headers
        headers[.contentType] = "text/event-stream; charset=utf-8"
        headers[.cacheControl] = "no-store"
        // nginx would hold events back otherwise.
        if let buffering = HTTPField.Name("X-Accel-Buffering") { headers[buffering] = "no" }
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                do {
                    try await request.body.consumeWithInboundCloseHandler { _ in
                        for await event in events { try await writer.write(event) }
                    } onInboundClosed: {
                        Task { await hub.unsubscribe(id) }
                    }
                } catch {
                    await hub.unsubscribe(id)
                    throw error
                }
                await hub.unsubscribe(id)
                try await writer.finish(nil)
            })
    }

    /// A form with the reader's token, answered by a cookie.
    func signIn(_ request: Request, _ context: ControlContext) async -> Response {
        do {
            let body = try await request.body.collect(upTo: 4096)
            let form = String(decoding: body.readableBytesView, as: UTF8.self)
            let fields = form.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1) }
            let value = fields.first { $0.first == "token" && $0.count == 2 }?[1] ?? ""
            let token = value.split(separator: "+", omittingEmptySubsequences: false).joined(separator: " ")
            let cookie = try access.cookie(for: (token.removingPercentEncoding ?? "").filter { !$0.isWhitespace })
            var response = Self.redirect("./")
            response.setCookie(cookie)
            return response
        } catch {
            return message(
                error is WireError ? error : WireError(.invalid, "the form was not understood"), root: "", context)
        }
    }

    private func report(_ span: Span, _ sight: Sight) async throws -> CapacityReport {
        // Who may see only their own jobs has a report of their own, since of all only the first are listed.
        let user = sight.jobs ? nil : sight.user
        let source = source
        return try await reports.value(ReportKey(span: span, user: user)) {
            try await source.report(span.question(now: .now, viewer: user))
        }
    }

    private func series(_ span: Span) async throws -> CapacitySeries {
        let source = source
        return try await seriesAnswers.value(span) {
            try await source.series(span.question(now: .now), stepSeconds: span.stepSeconds, rowLimit: Self.heatRows)
        }
    }
}
