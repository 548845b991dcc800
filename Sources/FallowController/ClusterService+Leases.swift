internal import FallowControl
internal import FallowHistory
internal import FallowModel
internal import FallowPolicy
internal import FallowWire

extension ClusterService {
    /// Grants a lease now, or waits for capacity as long as the demand says.
    ///
    /// - Returns: the grant, on its way to the ledger (`Ledger.settle`), and where its node's agent listens.
    func lease(_ request: LeaseRequest) async throws -> (grant: Grant, agentURL: String) {
        let now = Timestamp.now
        var result = attempt(request, now)
        let wait = min(max(0, request.demand.waitSeconds), 3600)
        if case .failure(let error) = result, error.code == .noCapacity, wait > 0, !isStopping {
            guard !waiters.isFull else {
                throw WireError(.tooMany, "\(LeaseQueue.limit) requests wait for capacity already")
            }
            let deadline = now + .nanoseconds(Int64(wait * 1e9))
            result = await withCheckedContinuation { continuation in
                waiters.append(.init(request: request, deadline: deadline, continuation: continuation))
            }
        }
        if case .failure = result { leasesRefused += 1 } else { leasesGranted += 1 }
        let grant = try result.get()
        return (grant, policy.agentURL(of: grant.node) ?? "")
    }

    /// Tries everybody who waits.
    func serveQueue(_ now: Timestamp) {
        guard !waiters.waiters.isEmpty else { return }
        var queue = waiters
        waiters = LeaseQueue()
        queue.serve(now: now) { attempt($0, now) }
        waiters = queue
    }

    private func attempt(_ request: LeaseRequest, _ now: Timestamp) -> Result<Grant, WireError> {
        do throws(WireError) {
            let secret = Self.hexadecimal((0..<32).map { _ in UInt8.random(in: .min ... .max) })
            let id = LeaseID(UInt64.random(in: 1 ... .max))
            let (grant, directives) = try policy.onLeaseRequest(request, leaseID: id, secret: secret, now: now)
            carryOut(directives)
            if let lease = policy.leases[grant.leaseID] {
                ledger.write { try $0.recordLease(lease.row(startedAt: nil)) }
            }
            return .success(grant)
        } catch {
            return .failure(error)
        }
    }

    /// Ends a lease for somebody who may: its owner, an operator, or the daemon of its node or its client's node.
    ///
    /// - Throws: `WireError` `notFound`: there is none, or it is not the caller's.
    func release(_ id: LeaseID, reason: LeaseEnd, by caller: Caller, isOperator: Bool) throws -> LeaseEndNotice {
        let now = Timestamp.now
        guard let lease = policy.leases[id] else {
            if let reason = policy.endReason(of: id) { return LeaseEndNotice(leaseID: id, reason: reason) }
            throw WireError(.notFound, "there is no lease \(id)")
        }
        try check(caller, isOperator, mayTouch: lease)
        let endedOnNode = caller.isDaemon && caller.node == lease.node && lease.phase == .running
        carryOut(policy.release(id, reason: reason, endedOnNode: endedOnNode, now: now))
        serveQueue(now)
        return LeaseEndNotice(leaseID: id, reason: reason)
    }

    /// A new term for a lease.
    func renew(_ id: LeaseID, termSeconds: Double, by caller: Caller, isOperator: Bool) throws -> Grant {
        guard let lease = policy.leases[id] else { throw WireError(.notFound, "there is no lease \(id) that runs") }
        try check(caller, isOperator, mayTouch: lease)
        let grant = try policy.renew(id, termSeconds: termSeconds, now: .now)
        if let lease = policy.leases[id] {
            ledger.write { try $0.recordLease(lease.row(startedAt: lease.report?.startedAt)) }
        }
        return grant
    }

    private func check(_ caller: Caller, _ isOperator: Bool, mayTouch lease: ClusterLease) throws {
        let isItsDaemon = caller.isDaemon && (caller.node == lease.node || caller.node == lease.clientNode)
        guard isItsDaemon || isOperator || caller.user == lease.user else {
            throw WireError(.notFound, "there is no lease \(lease.leaseID) of uid \(caller.user)")
        }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
