internal import FallowHost
internal import FallowTransport
internal import FallowWire

/// Executors that become a user while the co-scheduler is asked for his lease: what of a start needs no grant is done when
/// the grant comes.
extension ParkingLot {
    /// How long one that has become a user waits for his lease.
    static let engagementLife: Duration = .seconds(5)

    /// Has one that stands ready become a user whose lease is asked for, or keeps the one that did so for a request of his
    /// that came to nothing; so that requests which are refused cost one executor in `engagementLife`. Requests of one user that are
    /// under way together leave one that stands ready to others.
    ///
    /// - Parameter entry: whom it becomes, and within what.
    func engage(
        _ kind: TransportKind, as identity: UserIdentity, for request: UInt64,
        _ entry: (ParkedExecutor) -> ExecutorEntry
    ) {
        let (engaged, ready) = stand(kind) { ($0.engaged, $0.ready) }
        let his = engaged.filter { $0.engagement?.identity == identity }
        if let one = his.first(where: { $0.isFree(for: identity.uid) }) { return one.expect(request) }
        guard let one = ready.first, his.isEmpty || ready.count > 1 else { return }
        do {
            try one.engage(identity, entry(one), for: request, until: .now + Self.engagementLife)
            stand(kind) { stand in
                stand.remove(one)
                stand.engaged.append(one)
            }
        } catch { lost(one, kind, error as? WireError) }
    }

    /// A request has come to its end, with an executor or without.
    func endRequest(_ request: UInt64) {
        for stand in stands.values {
            stand.engaged.first { $0.engagement?.request == request }?.expect(nil)
        }
    }

    /// One that has become that user, or is about to.
    func takeEngaged(_ kind: TransportKind, _ identity: UserIdentity) -> ParkedExecutor? {
        stand(kind) { stand in
            stand.engaged.firstIndex { $0.engagement?.identity == identity }.map { stand.engaged.remove(at: $0) }
        }
    }

    /// Those whose user's lease did not come in time end.
    func endEngagements() {
        let now = ContinuousClock.now
        for kind in stands.keys {
            for one in stand(kind, { $0.engaged }) where one.engagement!.until <= now {
                stand(kind) { $0.remove(one) }
                one.end()
            }
        }
    }
}
