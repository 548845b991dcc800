import FallowModel
import FallowPolicy
import FallowWire
import Testing

@Suite struct LifeTests {
    @Test func aLeaseStartsAndEndsWithItsNodesReports() throws {
        var policy = threeNodes()
        let grant = try policy.grant(request(1, cpus: 2))
        let started = policy.onReport(
            report("node0", sequence: 2, at: t0, offer: offer(4), leases: [running(grant)]), now: t0)
        guard case .started(let lease, _)? = started.first else {
            Issue.record("no start: \(started)")
            return
        }
        #expect(lease.leaseID == grant.leaseID)
        #expect(policy.available(on: NodeName("node0"), now: t0).cores == 4)
        let over = policy.onReport(
            report("node0", sequence: 3, at: t0, offer: offer(6), ended: [ended(grant, at: t0, .reclaimed)]), now: t0)
        guard case .ended(_, _, .reclaimed, _)? = over.first else {
            Issue.record("no end: \(over)")
            return
        }
        #expect(policy.leases.isEmpty)
        #expect(policy.available(on: NodeName("node0"), now: t0).cores == 6)
    }

    @Test func olderReportsOfOneInstanceAreIgnored() throws {
        var policy = threeNodes()
        _ = policy.onReport(report("node0", sequence: 5, at: t0, offer: offer(2)), now: t0)
        _ = policy.onReport(report("node0", sequence: 4, at: t0, offer: offer(8)), now: t0)
        #expect(policy.available(on: NodeName("node0"), now: t0).cores == 2)
    }

    @Test func useIsMeasuredOverFiveSecondsOrMore() {
        var policy = ClusterPolicy(limits: ClusterLimits())
        func used(_ sequence: UInt64, _ seconds: Double, _ coreSeconds: Double, instance: UInt64 = 1) -> Double? {
            var body = report(
                "node0", instance: instance, sequence: sequence, at: t0 + .seconds(seconds), offer: offer(2))
            body.integrals.usedCoreSeconds = coreSeconds
            _ = policy.onReport(body, now: t0 + .seconds(seconds))
            return policy.nodeViews(now: t0 + .seconds(seconds))[0].usedCores
        }
        #expect(used(1, 0, 100) == nil)
        #expect(used(2, 2, 108) == nil)
        #expect(used(3, 5, 120) == 4)
        // What is known stands until the next five seconds are over.
        #expect(used(4, 7, 140) == 4)
        #expect(used(5, 10, 130) == 2)
        // A new run of the agent counts from nothing, and nothing is known of it yet.
        #expect(used(1, 12, 50, instance: 2) == nil)
        // A node that is silent is not said to use anything.
        #expect(used(2, 18, 56, instance: 2) == 1)
        _ = policy.onTime(t0 + .seconds(60))
        #expect(policy.nodeViews(now: t0 + .seconds(60))[0].usedCores == nil)
    }

    @Test func aReleasedLeaseIsToldToItsNodeUntilItObeys() throws {
        var policy = threeNodes()
        let grant = try policy.grant(request(1))
        _ = policy.onReport(report("node0", sequence: 2, at: t0, offer: offer(5), leases: [running(grant)]), now: t0)
        #expect(policy.ends(for: NodeName("node0")).isEmpty)
        #expect(policy.release(grant.leaseID, reason: .clientGone, endedOnNode: false, now: t0).isEmpty)
        #expect(policy.ends(for: NodeName("node0")).map(\.leaseID) == [grant.leaseID])
        #expect(policy.ends(for: NodeName("node0")).first?.reason == .clientGone)
        _ = policy.onReport(report("node0", sequence: 3, at: t0, offer: offer(5), leases: [running(grant)]), now: t0)
        #expect(policy.ends(for: NodeName("node0")).count == 1)
        _ = policy.onReport(
            report("node0", sequence: 4, at: t0, offer: offer(6), ended: [ended(grant, at: t0, .clientGone)]), now: t0)
        #expect(policy.ends(for: NodeName("node0")).isEmpty)
    }

    @Test func leasesOfClientsOnANodeWhoseAgentIsGoneEnd() throws {
        var policy = threeNodes()
        let elsewhere = try policy.grant(request(1, node: "node1"))
        let own = try policy.grant(request(2))
        // A new instance of the client's agent knows none of its connections.
        _ = policy.onReport(
            report("node0", instance: 2, sequence: 1, at: t0, offer: offer(6), startedAt: t0 + .seconds(1)),
            now: t0 + .seconds(1))
        #expect(policy.ends(for: NodeName("node1")).map(\.leaseID) == [elsewhere.leaseID])
        #expect(policy.ends(for: NodeName("node1")).first?.reason == .clientGone)
        // What was leased on that very node is its own agent's to tell.
        #expect(policy.leases[own.leaseID]?.endRequested == nil)

        var silent = threeNodes()
        let lost = try silent.grant(request(3, node: "node2"))
        for sequence in 2..<12 as Range<UInt64> {
            let now = t0 + .seconds(Int(sequence))
            _ = silent.onReport(
                report("node2", sequence: sequence, at: now, offer: offer(7), leases: [running(lost)]), now: now)
            _ = silent.onTime(now)
        }
        #expect(silent.ends(for: NodeName("node2")).map(\.leaseID) == [lost.leaseID])
    }

    @Test func aSilentNodeLendsNothingAndItsLeasesAreLost() throws {
        var policy = threeNodes()
        let grant = try policy.grant(request(1))
        _ = policy.onReport(report("node0", sequence: 2, at: t0, offer: offer(5), leases: [running(grant)]), now: t0)
        #expect(policy.onTime(t0 + .seconds(6)).isEmpty)
        let later = t0 + .seconds(7)
        let lost = policy.onTime(later)
        guard case .ended(_, _, .agentGone, _)? = lost.first, lost.count == 1 else {
            Issue.record("not lost: \(lost)")
            return
        }
        #expect(policy.available(on: NodeName("node0"), now: later).cores == 0)
        // It comes back and still runs the lease: it must end it.
        _ = policy.onReport(
            report("node0", sequence: 3, at: later, offer: offer(5), leases: [running(grant)]), now: later)
        #expect(policy.ends(for: NodeName("node0")).map(\.leaseID) == [grant.leaseID])
        #expect(policy.leases.isEmpty)
    }

    @Test func aNewAgentInstanceHasNothingOfTheOld() throws {
        var policy = threeNodes()
        let grant = try policy.grant(request(1))
        _ = policy.onReport(report("node0", sequence: 9, at: t0, offer: offer(5), leases: [running(grant)]), now: t0)
        let directives = policy.onReport(
            report("node0", instance: 2, sequence: 1, at: t0, offer: offer(6), startedAt: t0 + .seconds(1)), now: t0)
        #expect(directives.count == 1)
        #expect(policy.leases.isEmpty)
        // A late report of the old instance changes nothing.
        _ = policy.onReport(report("node0", sequence: 10, at: t0, offer: offer(1), leases: [running(grant)]), now: t0)
        #expect(policy.available(on: NodeName("node0"), now: t0).cores == 6)
    }

    @Test func afterARestartUnknownLeasesAreTakenUpAndExpiredOnesEnded() throws {
        var before = threeNodes()
        let known = try before.grant(request(1))
        var expired = running(try before.grant(request(2)))
        expired.termEnds = t0 + .seconds(-1)
        var policy = ClusterPolicy(limits: ClusterLimits())
        let directives = policy.onReport(
            report("node0", sequence: 3, at: t0, offer: offer(4), leases: [running(known), expired]), now: t0)
        guard case .adopted(let lease)? = directives.first, directives.count == 1 else {
            Issue.record("not taken up: \(directives)")
            return
        }
        #expect(lease.user == alice)
        #expect(policy.leases[known.leaseID] != nil)
        #expect(policy.ends(for: NodeName("node0")).map(\.leaseID) == [expired.leaseID])
    }

    @Test func leasesOfTheLedgerKeepTheirClientAndTheirCapacity() throws {
        var before = threeNodes()
        let grant = try before.grant(request(7, from: "login", cpus: 3, node: "node0"))
        let rows = Array(before.leases.values)
        var policy = ClusterPolicy(limits: ClusterLimits())
        policy.restore(rows, now: t0)
        _ = policy.onReport(report("node0", sequence: 3, at: t0, offer: offer(6)), now: t0)
        #expect(policy.available(on: NodeName("node0"), now: t0).cores == 3)
        _ = policy.onReport(report("node0", sequence: 4, at: t0, offer: offer(3), leases: [running(grant)]), now: t0)
        #expect(policy.leases[grant.leaseID]?.clientNode == NodeName("login"))
        #expect(policy.available(on: NodeName("node0"), now: t0).cores == 3)
        // A node that never comes back: its leases end.
        var lonely = ClusterPolicy(limits: ClusterLimits())
        lonely.restore(rows, now: t0)
        #expect(lonely.onTime(t0 + .seconds(20)).isEmpty)
        #expect(lonely.onTime(t0 + .seconds(60)).count == 1)
    }

    /// The co-scheduler was killed between a node's word that a lease is over and the ledger's line of it.
    @Test func aLeaseWhoseEndTheLedgerMissedEndsWithTheFirstReport() throws {
        var before = threeNodes()
        let grant = try before.grant(request(7, from: "login", cpus: 3, node: "node0"))
        let granted = Array(before.leases.values)
        var started = granted
        started[0].phase = .running
        var policy = ClusterPolicy(limits: ClusterLimits())
        policy.restore(started, now: t0 + .seconds(10))
        let directives = policy.onReport(
            report("node0", sequence: 3, at: t0 + .seconds(10), offer: offer(6)), now: t0 + .seconds(10))
        guard case .ended(let lease, _, let reason, _)? = directives.first, directives.count == 1 else {
            Issue.record("not ended: \(directives)")
            return
        }
        #expect(lease.leaseID == grant.leaseID)
        #expect(reason == .agentGone)
        #expect(policy.available(on: NodeName("node0"), now: t0 + .seconds(10)).cores == 6)
        // One that never ran may still begin to, as long after its grant as it might without the restart.
        var waiting = ClusterPolicy(limits: ClusterLimits())
        waiting.restore(granted, now: t0 + .seconds(25))
        let early = report("node0", sequence: 3, at: t0 + .seconds(26), offer: offer(6))
        #expect(waiting.onReport(early, now: early.at).isEmpty)
        let late = report("node0", sequence: 4, at: t0 + .seconds(31), offer: offer(6))
        #expect(waiting.onReport(late, now: late.at).count == 1)
    }

    /// The agent asked for a lease on its own node, and was killed before it opened it.
    @Test func whatAnEndedAgentHadAskedForItsOwnNodeIsFreeAtOnce() throws {
        var policy = threeNodes()
        let own = try policy.grant(request(1, from: "node0", cpus: 2, node: "node0"))
        let others = try policy.grant(request(2, from: "login", cpus: 1, node: "node0"))
        let started = t0 + .seconds(1)
        let directives = policy.onReport(
            report("node0", instance: 2, sequence: 1, at: started, offer: offer(6), startedAt: started), now: started)
        #expect(directives.count == 1)
        #expect(policy.leases[own.leaseID] == nil)
        // Another node's agent may still bring its grant.
        #expect(policy.leases[others.leaseID] != nil)
        #expect(policy.available(on: NodeName("node0"), now: started).cores == 5)
    }

    @Test func anotherNodesOrUsersLeaseIsNotBelieved() throws {
        var policy = threeNodes()
        let grant = try policy.grant(request(1))
        _ = policy.onReport(report("node1", sequence: 2, at: t0, offer: offer(8), leases: [running(grant)]), now: t0)
        #expect(policy.leases[grant.leaseID]?.node == NodeName("node0"))
        #expect(policy.ends(for: NodeName("node1")).map(\.leaseID) == [grant.leaseID])
    }

    @Test func renewalMovesTheTermWithinTheMaximum() throws {
        var policy = threeNodes()
        let grant = try policy.grant(request(1, term: 10))
        let renewed = try policy.renew(grant.leaseID, termSeconds: 1e6, now: t0 + .seconds(5))
        #expect(renewed.termEnds == t0 + .seconds(3605))
        #expect(throws: WireError.self) { try policy.renew(LeaseID(77), termSeconds: 1, now: t0) }
        #expect(throws: WireError.self) { try policy.renew(grant.leaseID, termSeconds: .nan, now: t0) }
        _ = policy.release(grant.leaseID, reason: .released, endedOnNode: false, now: t0)
        let ending = #expect(throws: WireError.self) { try policy.renew(grant.leaseID, termSeconds: 1, now: t0) }
        #expect(ending?.code == .conflict)
    }
}
