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
    /// Ends that came before the lease was handed to its client, and when; most are of leases that were given back.
    private var earlyEnds: [LeaseID: (reason: LeaseEnd, at: ContinuousClock.Instant)] = [:]
    /// Longer than any lease takes to be opened.
    private static let earlyEndLife: Duration = .seconds(120)
    private static let earlyEndLimit = 65_536
    /// Leases that waited for a job, were taken by a client, and are still to be fetched.
    private var unfetched: [LeaseID: LeaseBroker.Opened] = [:]
    /// What this node's jobs borrow.
    private let memory: JobMemory
    /// Whether the co-scheduler answers.
    var controllerReachable: @Sendable () -> Bool = { false }
    /// As `AgentStatus` says it.
    var coreMapping: () -> String? = { nil }

    init(harness: ClientHarness, broker: LeaseBroker, memory: JobMemory, loop: EventLoop, log: Logger) {
        self.harness = harness
        self.memory = memory
        self.broker = broker
        self.loop = loop
        self.log = log
        harness.onRequest = { [unowned self] client, request, descriptor in on(request, from: client, descriptor) }
        harness.onGone = { [unowned self] client in gone(client) }
        memory.earlyEnd = { [unowned self] id in earlyEnds.removeValue(forKey: id)?.reason }
    }

    /// A lease of some client of this node is over.
    func ended(_ leaseID: LeaseID, _ reason: LeaseEnd) {
        if memory.ended(leaseID, reason) { return }
        if let opened = unfetched.removeValue(forKey: leaseID), opened.shared >= 0 { close(opened.shared) }
        guard let lease = held.removeValue(forKey: leaseID) else { return note(leaseID, reason) }
        guard let client = harness.clients[lease.client] else { return }
        client.leases.remove(leaseID)
        client.send(LocalReply(kind: .ended, leaseID: leaseID, reason: reason))
    }

    private func note(_ leaseID: LeaseID, _ reason: LeaseEnd) {
        let now = ContinuousClock.now
        if earlyEnds.count % 256 == 255 { earlyEnds = earlyEnds.filter { now - $0.value.at < Self.earlyEndLife } }
        if earlyEnds.count < Self.earlyEndLimit { earlyEnds[leaseID] = (reason, now) }
    }

    /// How many leases this node's clients hold.
    var leaseCount: Int { held.count }

    private func on(_ request: LocalRequest, from client: ClientHarness.Client, _ descriptor: Int32) {
        if request.kind != .lease, descriptor >= 0 { close(descriptor) }
        switch request.kind {
        case .lease: lease(request, client, library: descriptor)
        case .release: release(request, client)
        case .renew: renew(request, client)
        case .adopt: request.leaseID == nil ? adopt(request, client) : fetch(request, client)
        case .userfaultfd: userfaultfd(request, client.number)
        case .status:
            answer(
                request, client.number,
                LocalReply(
                    id: request.id, kind: .status,
                    status: AgentStatus(
                        node: broker.name, version: fallowVersion, leases: client.leases.count,
                        controllerReachable: controllerReachable(), donorSize: broker.settings.donorSize,
                        remoteMemory: memory.job(of: client.peer).flatMap { memory.sentence(for: $0) },
                        coreMapping: coreMapping())))
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
            if let early = earlyEnds.removeValue(forKey: id) { ended(id, early.reason) }
        }
    }

    /// What waits for the client's job becomes the client's: all of it here, each lease's way in with a `fetch`.
    private func adopt(_ request: LocalRequest, _ client: ClientHarness.Client) {
        let number = client.number
        let wait = min(max(0, request.waitSeconds ?? 0), 3600)
        memory.adopt(for: client.peer, wanted: request.memory, wait: .nanoseconds(Int64(wait * 1e9))) {
            [unowned self] result in
            switch result {
            case .failure(let error): refuse(request, number, error)
            case .success(let adopted):
                for opened in adopted.leases {
                    let id = opened.lease.leaseID
                    let lease = Held(client: number, agentURL: opened.agentURL, isLocal: opened.isLocal)
                    guard let client = harness.clients[number] else {
                        if opened.shared >= 0 { close(opened.shared) }
                        end(id, lease, .clientGone)
                        continue
                    }
                    held[id] = lease
                    unfetched[id] = opened
                    client.leases.insert(id)
                }
                answer(
                    request, number,
                    LocalReply(
                        id: request.id, kind: .adopted,
                        adopted: AdoptedLeases(
                            leaseIDs: adopted.leases.map(\.lease.leaseID), isDurable: adopted.isDurable)))
            }
        }
    }

    private func fetch(_ request: LocalRequest, _ client: ClientHarness.Client) {
        guard let id = request.leaseID, client.leases.contains(id), let opened = unfetched.removeValue(forKey: id)
        else { return refuse(request, client.number, notYours(request.leaseID)) }
        answer(
            request, client.number, LocalReply(id: request.id, kind: .leased, lease: opened.lease),
            descriptors: opened.shared >= 0 ? [opened.shared] : [])
        if opened.shared >= 0 { close(opened.shared) }
    }

    private func userfaultfd(_ request: LocalRequest, _ number: Int) {
        do throws(WireError) {
            let device = try UserfaultfdDevice.open(isHandedOut: broker.settings.handsOutUserfaultfd, on: broker.name)
            answer(request, number, LocalReply(id: request.id, kind: .userfaultfd), descriptors: [device])
            close(device)
        } catch { refuse(request, number, error) }
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
        // Of a lease that its client gives back on another node no word comes from there.
        _ = memory.ended(id, reason)
        if let opened = unfetched.removeValue(forKey: id), opened.shared >= 0 { close(opened.shared) }
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
