internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Glibc
internal import Logging

/// The leases that wait: asked for, kept alive, given back.
extension JobMemory {
    /// Leases that are asked for at a time.
    private static let requestsAtOnce = 8

    /// What came of an asking.
    private struct Opening: Sendable {
        var leases: [LeaseBroker.Opened] = []
        var failure: WireError?
    }

    /// A lease of this node's clients or jobs is over.
    /// - Returns: whether it waited here.
    func ended(_ leaseID: LeaseID, _ reason: LeaseEnd) -> Bool {
        policy.onLeaseEnd(leaseID, reason)
        taken[leaseID] = nil
        guard let lease = waiting.removeValue(forKey: leaseID) else { return false }
        if lease.shared >= 0 { close(lease.shared) }
        return true
    }

    /// Takes out everything that waits and lies on other nodes: the agent ends. What lies here it ends by itself.
    func takeAll() -> [LeaseBroker.Opened] {
        let elsewhere = waiting.values.filter { !$0.isLocal }
        for lease in elsewhere { waiting[lease.lease.leaseID] = nil }
        return elsewhere
    }

    /// Gives leases on other nodes back, all at once: bounded by one request's time.
    static func end(_ leases: [LeaseBroker.Opened], _ broker: LeaseBroker) async {
        await withTaskGroup(of: Void.self) { group in
            for lease in leases {
                group.addTask {
                    await broker.end(lease.lease.leaseID, at: lease.agentURL, isLocal: false, reason: .agentGone)
                }
            }
        }
    }

    func carryOut(_ directives: [BorrowedMemory.Directive]) {
        for directive in directives {
            switch directive {
            case .ask(let asking): ask(asking)
            case .giveBack(let ids): giveBack(ids.compactMap { waiting.removeValue(forKey: $0) })
            case .renew(let ids): renew(ids)
            }
        }
    }

    private func giveBack(_ leases: [LeaseBroker.Opened]) {
        let broker = broker
        for lease in leases {
            if lease.shared >= 0 { close(lease.shared) }
            Task {
                await broker.end(
                    lease.lease.leaseID, at: lease.agentURL, isLocal: lease.isLocal, reason: .released)
            }
        }
    }

    private func ask(_ asking: BorrowedMemory.Asking) {
        let broker = broker
        let door = LoopDoor(loop, self)
        log.info("memory is asked for", metadata: ["job": "\(asking.jobID)", "donors": "\(asking.donors)"])
        Task {
            let opening = await JobMemory.open(asking, broker)
            door.tell { $0.asked(asking, opening) }
        }
    }

    /// All of an asking's donors, some at a time; after the first refusal no more are begun.
    private static func open(
        _ asking: BorrowedMemory.Asking, _ broker: LeaseBroker
    ) async -> Opening {
        let demand = LeaseDemand(
            kind: .memory, cpus: 0, memory: asking.each, waitSeconds: asking.wait.inSeconds, slotCount: 0,
            inputBytes: 0, outputBytes: 0, libraryName: "")
        return await withTaskGroup(of: Opening.self) { group in
            var all = Opening()
            var begun = min(asking.donors, requestsAtOnce)
            for _ in 0..<begun { group.addTask { await open(demand, asking.user, broker) } }
            while let one = await group.next() {
                all.leases += one.leases
                all.failure = all.failure ?? one.failure
                guard all.failure == nil, begun < asking.donors else { continue }
                begun += 1
                group.addTask { await open(demand, asking.user, broker) }
            }
            return all
        }
    }

    private static func open(_ demand: LeaseDemand, _ user: UserID, _ broker: LeaseBroker) async -> Opening {
        do {
            return Opening(leases: [try await broker.open(demand, user: user, library: -1)])
        } catch {
            return Opening(failure: error as? WireError ?? WireError(.internalError, "\(error)"))
        }
    }

    private func asked(_ asking: BorrowedMemory.Asking, _ opening: Opening) {
        let outcome: Result<[BorrowedMemory.Lease], WireError>
        let leases = opening.leases
        if let error = opening.failure {
            // All of it or nothing: what no program can use is nobody's loss.
            giveBack(leases)
            outcome = .failure(error)
            log.notice("memory is not to be had", metadata: ["job": "\(asking.jobID)", "why": "\(error.message)"])
        } else {
            for lease in leases { waiting[lease.lease.leaseID] = lease }
            outcome = .success(
                leases.map {
                    BorrowedMemory.Lease(
                        leaseID: $0.lease.leaseID, memory: $0.lease.memory, termEnds: $0.lease.termEnds)
                })
        }
        carryOut(policy.onAsked(asking, outcome, now: .current()))
        for lease in leases { if let reason = earlyEnd(lease.lease.leaseID) { _ = ended(lease.lease.leaseID, reason) } }
        let concerned = adopters.filter { $0.jobID == asking.jobID }
        adopters.removeAll { $0.jobID == asking.jobID }
        for adopter in concerned { decide(adopter) }
    }

    func renew(_ ids: [LeaseID]) {
        let broker = broker
        let door = LoopDoor(loop, self)
        let term = broker.settings.termDefault.inSeconds
        for id in ids {
            let place = waiting[id].map { ($0.agentURL, $0.isLocal) } ?? taken[id].map { ($0.agentURL, $0.isLocal) }
            guard let (agentURL, isLocal) = place else { continue }
            Task {
                guard let ends = try? await broker.renew(id, at: agentURL, isLocal: isLocal, termSeconds: term) else {
                    return
                }
                door.tell {
                    $0.policy.onRenewed(id, termEnds: ends, now: .current())
                    $0.waiting[id]?.lease.termEnds = ends
                }
            }
        }
    }
}
