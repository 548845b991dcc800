internal import FallowLocal
internal import FallowModel
internal import FallowWire
internal import Glibc
internal import Logging

/// What this node's clients ask for, and which leases are whose. Confined to the event loop's thread.
///
/// A lease ends with the connection that it was opened over: the kernel closes it when the client's process ends.
final class ClientService {
    private struct Held {
        var client: Int
        var agentURL: String
        var isLocal: Bool
    }

    private let harness: ClientHarness
    private let broker: LeaseBroker
    private let loop: EventLoop
    private let log: Logger
    private var held: [LeaseID: Held] = [:]
    /// Ends that came before the lease was handed to its client.
    private var earlyEnds: [LeaseID: LeaseEnd] = [:]
    /// Whether the co-scheduler answers.
    var controllerReachable: @Sendable () -> Bool = { false }

    init(harness: ClientHarness, broker: LeaseBroker, loop: EventLoop, log: Logger) {
        self.harness = harness
        self.broker = broker
        self.loop = loop
        self.log = log
        harness.onRequest = { [unowned self] client, request, descriptor in on(request, from: client, descriptor) }
        harness.onGone = { [unowned self] client in gone(client) }
    }

    /// A lease of some client of this node is over.
    func ended(_ leaseID: LeaseID, _ reason: LeaseEnd) {
        guard let lease = held.removeValue(forKey: leaseID) else {
            if earlyEnds.count < 10_000 { earlyEnds[leaseID] = reason }
            return
        }
        guard let client = harness.clients[lease.client] else { return }
        client.leases.remove(leaseID)
        client.send(LocalReply(kind: .ended, leaseID: leaseID, reason: reason))
    }

    /// How many leases this node's clients hold.
    var leaseCount: Int { held.count }

    private func on(_ request: LocalRequest, from client: ClientHarness.Client, _ descriptor: Int32) {
        if request.kind != .lease, descriptor >= 0 { close(descriptor) }
        switch request.kind {
        case .lease: lease(request, client, library: descriptor)
        case .release: release(request, client)
        case .renew: renew(request, client)
        case .status:
            answer(
                request, client.number,
                LocalReply(
                    id: request.id, kind: .status,
                    status: AgentStatus(
                        node: broker.name, version: fallowVersion, leases: client.leases.count,
                        controllerReachable: controllerReachable(), donorSize: broker.settings.donorSize)))
        }
    }

    private func lease(_ request: LocalRequest, _ client: ClientHarness.Client, library: Int32) {
        let number = client.number
        guard let demand = request.lease else {
            if library >= 0 { close(library) }
            return refuse(request, number, WireError(.invalid, "a lease request needs 'lease'"))
        }
        guard library >= 0 || demand.kind == .memory else {
            return refuse(request, number, WireError(.invalid, "a lease request needs the library's descriptor"))
        }
        let user = client.peer.uid
        let broker = broker
        let door = LoopDoor(loop, self)
        Task {
            let result: Result<LeaseBroker.Opened, WireError>
            do {
                result = .success(try await broker.open(demand, user: user, library: library))
            } catch {
                result = .failure(error as? WireError ?? WireError(.internalError, "\(error)"))
            }
            if library >= 0 { close(library) }
            door.tell { $0.deliver(result, of: request, to: number) }
        }
    }

    private func deliver(
        _ result: Result<LeaseBroker.Opened, WireError>, of request: LocalRequest, to number: Int
    ) {
        switch result {
        case .failure(let error): refuse(request, number, error)
        case .success(let opened):
            defer { if opened.shared >= 0 { close(opened.shared) } }
            let id = opened.lease.leaseID
            guard let client = harness.clients[number] else {
                return end(id, Held(client: number, agentURL: opened.agentURL, isLocal: opened.isLocal), .clientGone)
            }
            held[id] = Held(client: number, agentURL: opened.agentURL, isLocal: opened.isLocal)
            client.leases.insert(id)
            answer(
                request, number, LocalReply(id: request.id, kind: .leased, lease: opened.lease),
                descriptors: opened.shared >= 0 ? [opened.shared] : [])
            if let reason = earlyEnds.removeValue(forKey: id) { ended(id, reason) }
        }
    }

    private func release(_ request: LocalRequest, _ client: ClientHarness.Client) {
        guard let id = request.leaseID, client.leases.contains(id), let lease = held.removeValue(forKey: id) else {
            return refuse(request, client.number, notYours(request.leaseID))
        }
        client.leases.remove(id)
        end(id, lease, .released)
        answer(request, client.number, LocalReply(id: request.id, kind: .released, leaseID: id))
    }

    private func renew(_ request: LocalRequest, _ client: ClientHarness.Client) {
        guard let id = request.leaseID, client.leases.contains(id), let lease = held[id] else {
            return refuse(request, client.number, notYours(request.leaseID))
        }
        let number = client.number
        let broker = broker
        let door = LoopDoor(loop, self)
        Task {
            do {
                let ends = try await broker.renew(
                    id, at: lease.agentURL, isLocal: lease.isLocal, termSeconds: request.termSeconds ?? 0)
                door.tell {
                    $0.answer(
                        request, number, LocalReply(id: request.id, kind: .renewed, leaseID: id, termEnds: ends))
                }
            } catch {
                let error = error as? WireError ?? WireError(.internalError, "\(error)")
                door.tell { $0.refuse(request, number, error) }
            }
        }
    }

    private func gone(_ client: ClientHarness.Client) {
        for id in client.leases {
            if let lease = held.removeValue(forKey: id) { end(id, lease, .clientGone) }
        }
        client.leases = []
    }

    private func end(_ id: LeaseID, _ lease: Held, _ reason: LeaseEnd) {
        let broker = broker
        Task { await broker.end(id, at: lease.agentURL, isLocal: lease.isLocal, reason: reason) }
    }

    private func notYours(_ id: LeaseID?) -> WireError {
        WireError(.notFound, "no lease \(id.map { "\($0)" } ?? "without an id") was opened over this connection")
    }

    private func refuse(_ request: LocalRequest, _ number: Int, _ error: WireError) {
        answer(request, number, LocalReply(id: request.id, kind: .error, error: error))
    }

    private func answer(_ request: LocalRequest, _ number: Int, _ reply: LocalReply, descriptors: [Int32] = []) {
        guard let client = harness.clients[number] else { return }
        client.pending -= 1
        client.send(reply, descriptors: descriptors)
    }
}
