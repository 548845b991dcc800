internal import FallowConfiguration
internal import FallowControl
internal import FallowModel
internal import FallowWire
internal import Glibc
internal import Hummingbird
internal import Logging

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What other nodes' agents ask of this one. Only daemons are heard.
struct PeerServer: Sendable {
    let settings: Settings
    let door: LoopDoor<NodeShell>
    let clients: LoopDoor<ClientService>
    let broker: LeaseBroker
    let log: Logger

    func router() -> Router<ControlContext> {
        let router = ControlServer.makeRouter(
            SealMiddleware(
                munge: broker.munge, trustedUsers: settings.trustedUsers, streamingPrefix: "/v1/libraries/"))
        router.get("/v1/health") { _, _ in HTTPResponse.Status.ok }
        router.head("/v1/libraries/{uid}/{sha256}") { _, context in try hasLibrary(context) }
        router.put("/v1/libraries/{uid}/{sha256}") { request, context in try await putLibrary(request, context) }
        router.post("/v1/executors") { request, context in try await open(request, context) }
        router.post("/v1/executors/{id}/renew") { request, context in try await renew(request, context) }
        router.delete("/v1/executors/{id}") { request, context in try await end(request, context) }
        router.post("/v1/leases/{id}/ended") { request, context in try await ended(request, context) }
        return router
    }

    private func library(_ context: ControlContext) throws -> (user: UserID, sha256: String) {
        _ = try context.requireDaemon()
        let sha256 = try context.parameter("sha256")
        guard let uid = UInt32(try context.parameter("uid")), LibraryCache.isHash(sha256) else {
            throw WireError(.invalid, "a library is /v1/libraries/<uid>/<sha256 in 64 hexadecimal digits>")
        }
        return (UserID(uid), sha256)
    }

    private func hasLibrary(_ context: ControlContext) throws -> HTTPResponse.Status {
        let (user, sha256) = try library(context)
        guard let descriptor = broker.cache.open(sha256, user: user) else {
            throw WireError(.notFound, "the library is not here; PUT it")
        }
        close(descriptor)
        return .ok
    }

    private func putLibrary(_ request: Request, _ context: ControlContext) async throws -> HTTPResponse.Status {
        let (user, sha256) = try library(context)
        let cache = broker.cache
        let file = try cache.nameless()
        defer { close(file) }
        _ = try await request.receiveBody(into: file, context: context)
        _ = try await BlockingPool.shared.run(timeout: .seconds(30), "keeping the library") {
            try cache.store(descriptor: file, user: user, expected: sha256)
        }
        return .created
    }

    private func open(_ request: Request, _ context: ControlContext) async throws -> Response {
        let (_, from) = try context.requireDaemon()
        let body = try await request.json(ExecutorRequest.self)
        let grant = try await broker.decodeGrant(body.grant)
        guard grant.clientNode == from else {
            throw WireError(
                .refused, "the grant is for a client on \(grant.clientNode); this request comes from \(from)")
        }
        let report =
            grant.demand.kind == .memory
            ? try await broker.openDonorHere(grant, local: false).report
            : try await broker.openHere(grant, sha256: body.librarySHA256, local: false).report
        return try Response(
            json: ExecutorOpened(
                leaseID: grant.leaseID, address: report.address ?? "", verbsAddress: report.verbsAddress),
            status: .created)
    }

    private func renew(_ request: Request, _ context: ControlContext) async throws -> HTTPResponse.Status {
        _ = try context.requireDaemon()
        let body = try await request.json(ExecutorRequest.self)
        let grant = try await broker.decodeGrant(body.grant)
        try await door.call { $0.renew(grant) }.get()
        return .ok
    }

    /// The client's agent, or the co-scheduler's word through it, ends a lease.
    private func end(_ request: Request, _ context: ControlContext) async throws -> HTTPResponse.Status {
        let (_, from) = try context.requireDaemon()
        let notice = try await request.json(LeaseEndNotice.self)
        try await door.call { shell -> Result<Void, WireError> in
            let grant = shell.executors[notice.leaseID]?.grant ?? shell.starting[notice.leaseID]?.grant
            guard let grant else { return .success(()) }
            guard grant.clientNode == from else {
                return .failure(
                    WireError(.refused, "the lease belongs to a client on \(grant.clientNode), not on \(from)"))
            }
            shell.giveBack(notice.leaseID, notice.reason)
            return .success(())
        }.get()
        return .ok
    }

    /// The target's agent says that a lease of one of this node's clients is over.
    private func ended(_ request: Request, _ context: ControlContext) async throws -> HTTPResponse.Status {
        _ = try context.requireDaemon()
        let notice = try await request.json(LeaseEndNotice.self)
        clients.tell { $0.ended(notice.leaseID, notice.reason) }
        return .ok
    }
}
