internal import FallowConfiguration
internal import FallowControl
internal import FallowModel
internal import FallowWeb
internal import FallowWire
internal import Hummingbird

/// `GET /v1/health`: open to everybody, so it says nothing of anybody.
struct Health: Codable, Sendable {
    var version: String
    var slurmAnswers: Bool
    /// What keeps the history from being written.
    var historyProblem: String?
}

/// The HTTP API of docs/openapi.yaml: from a request to the service and back; nothing is decided here.
struct Routes: Sendable {
    let service: ClusterService
    let settings: Settings
    let munge: Munge
    let ledger: Ledger
    let page: WebPages

    func add(to router: Router<ControlContext>) {
        router.get("/v1/health") { _, _ in
            try Response(
                json: Health(
                    version: Controller.version, slurmAnswers: await service.slurmAnswers,
                    historyProblem: ledger.problem == nil ? nil : "the history cannot be written; see the log"))
        }
        router.post("/v1/nodes/{node}/report") { try await report($0, $1) }
        router.post("/v1/leases") { try await lease($0, $1) }
        router.delete("/v1/leases/{id}") { try await release($0, $1) }
        router.post("/v1/leases/{id}/renew") { try await renew($0, $1) }
        router.get("/v1/status") { _, context in
            _ = try context.requireCaller()
            return try Response(
                json: await service.status(cluster: settings.clusterName, version: Controller.version))
        }
        router.get("/v1/nodes") { _, context in
            _ = try context.requireCaller()
            return try Response(json: await service.nodes())
        }
        router.get("/v1/jobs") { request, context in
            try Response(json: try await service.jobs(try scope(context), ended: try wantsEnded(request)))
        }
        router.get("/v1/leases") { request, context in
            try Response(json: try await service.leases(try scope(context), ended: try wantsEnded(request)))
        }
        router.get("/v1/report") { try await capacity($0, $1) }
        router.get("/metrics") { request, context in
            try MetricsAccess(tokenFile: settings.readerTokenFile).check(request, context)
            let text = await service.metrics(
                cluster: settings.clusterName, version: Controller.version, viewers: await page.viewers()
            ).text
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
        }
        page.add(to: router)
        router.put("/v1/switches") { request, context in
            let caller = try context.requireCaller()
            guard isOperator(caller) else {
                throw WireError(.refused, "uid \(caller.user) is none of the configuration's operators")
            }
            let change = try await request.json(SwitchChange.self)
            try await service.change(change)
            return try Response(json: change)
        }
    }

    private func report(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (_, node) = try context.requireDaemon()
        let report = try await request.json(NodeReport.self)
        guard report.node == node, try context.parameter("node") == node.text else {
            throw WireError(.refused, "the daemon of node \(node) may report of that node alone, not of \(report.node)")
        }
        try report.check()
        return try Response(json: await service.report(report))
    }

    private func lease(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (_, node) = try context.requireDaemon()
        let wanted = try await request.json(LeaseRequest.self)
        guard wanted.fromNode == node else {
            throw WireError(.refused, "the daemon of node \(node) may not lease for clients of \(wanted.fromNode)")
        }
        let (grant, agentURL) = try await service.lease(wanted)
        // Written before it is told, and sealed meanwhile.
        async let written: Void = ledger.settle()
        let payload = try ControlJSON.encode(grant)
        let reader = settings.trustedUsers.first
        let munge = munge
        // The daemon that asks reads its session's letters; another believes MUNGE alone. Where one daemon is both, one text will do
        // (a credential counts once on a host).
        let letter = wanted.readsLetters == true ? context.letter(payload) : nil
        let isOneDaemon = grant.node == node
        async let forAnother = isOneDaemon ? "" : munge.encode(payload, restrictTo: reader)
        let receipt = if let letter { letter } else { try await munge.encode(payload, restrictTo: reader) }
        let sealed = isOneDaemon && letter == nil ? receipt : try await forAnother
        await written
        return try Response(
            json: LeaseGranted(
                leaseID: grant.leaseID, node: grant.node, agentURL: agentURL, termEnds: grant.termEnds, grant: sealed,
                receipt: receipt), status: .created)
    }

    private func release(_ request: Request, _ context: ControlContext) async throws -> Response {
        let caller = try context.requireCaller()
        let id = try leaseID(context)
        let body = try await request.body.collect(upTo: ControlJSON.largestBody)
        var reason = LeaseEnd.released
        if body.readableBytes > 0 {
            let notice = try await request.json(LeaseEndNotice.self)
            guard notice.leaseID == id else {
                throw WireError(.invalid, "the path names lease \(id), the body \(notice.leaseID)")
            }
            if caller.isDaemon { reason = notice.reason }
        }
        return try Response(
            json: try await service.release(id, reason: reason, by: caller, isOperator: isOperator(caller)))
    }

    private func renew(_ request: Request, _ context: ControlContext) async throws -> Response {
        let caller = try context.requireCaller()
        let renewal = try await request.json(LeaseRenewal.self)
        let grant = try await service.renew(
            try leaseID(context), termSeconds: renewal.termSeconds, by: caller, isOperator: isOperator(caller))
        let credential = try await munge.encode(ControlJSON.encode(grant), restrictTo: settings.trustedUsers.first)
        return try Response(
            json: LeaseRenewed(leaseID: grant.leaseID, termEnds: grant.termEnds, grant: credential))
    }

    private func wantsEnded(_ request: Request) throws -> Bool {
        switch request.uri.queryParameters["ended"] {
        case nil, "0"?: return false
        case "1"?: return true
        case let text?: throw WireError(.invalid, "ended is '\(text)'; 0 or 1 is right")
        }
    }

    private func leaseID(_ context: ControlContext) throws -> LeaseID {
        let text = try context.parameter("id")
        guard let id = LeaseID(parsing: text) else {
            throw WireError(.invalid, "'\(text)' is no lease id: 16 hexadecimal digits are")
        }
        return id
    }

    /// Operators, and root on a daemon's behalf, see everybody's rows; all others their own.
    private func isOperator(_ caller: Caller) -> Bool { settings.operators.contains(caller.user) }

    func scope(_ context: ControlContext) throws -> ClusterService.Scope {
        let caller = try context.requireCaller()
        return isOperator(caller) ? .everybody : .only(caller.user)
    }
}

extension Routes {
    /// What a router serves, as `GET /v1/nodes/{node}`; the test of docs/openapi.yaml compares it.
    static func list(_ router: Router<ControlContext>) -> Set<String> {
        Set(router.routes.map { "\($0.method) \($0.path.description)" })
    }
}
