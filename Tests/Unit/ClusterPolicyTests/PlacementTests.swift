import FallowModel
import FallowPolicy
import FallowWire
import Testing

@Suite struct PlacementTests {
    @Test func theClientsOwnNodeComesFirst() throws {
        var policy = threeNodes()
        #expect(try policy.grant(request(1, from: "node0")).node == NodeName("node0"))
    }

    @Test func elseTheNodeThatOffersMostTiesByName() throws {
        var policy = threeNodes()
        #expect(try policy.grant(request(1, from: "login")).node == NodeName("node1"))
        #expect(try policy.grant(request(2, from: "login")).node == NodeName("node2"))
    }

    @Test func aNamedNodeAndRemoteAreHonoured() throws {
        var policy = threeNodes()
        #expect(try policy.grant(request(1, node: "node2")).node == NodeName("node2"))
        #expect(try policy.grant(request(2, from: "node1", remote: true)).node != NodeName("node1"))
        #expect(throws: WireError.self) { try policy.grant(request(3, from: "node1", node: "node1", remote: true)) }
        let unknown = #expect(throws: WireError.self) { try policy.grant(request(4, node: "node9")) }
        #expect(unknown?.code == .notFound)
    }

    @Test func capacityIsReservedBetweenReports() throws {
        var policy = threeNodes()
        _ = try policy.grant(request(1, cpus: 6, node: "node0"))
        let error = #expect(throws: WireError.self) { try policy.grant(request(2, node: "node0")) }
        #expect(error?.code == .noCapacity)
        #expect(error?.message.contains("0 cores") == true)
        // A report made before the grant was obeyed does not free it.
        _ = policy.onReport(report("node0", sequence: 2, at: t0 + .seconds(1), offer: offer(6)), now: t0 + .seconds(1))
        #expect(policy.available(on: NodeName("node0"), now: t0 + .seconds(1)).cores == 0)
    }

    @Test func aGrantThatWasNeverOpenedFreesItsCapacityOnceTheNodeCannotObeyIt() throws {
        var policy = threeNodes()
        let grant = try policy.grant(request(1, cpus: 6, node: "node0"))
        let late = grant.obeyBefore + .milliseconds(1)
        let directives = policy.onReport(report("node0", sequence: 2, at: late, offer: offer(6)), now: late)
        #expect(directives.count == 1)
        #expect(policy.leases.isEmpty)
        #expect(policy.available(on: NodeName("node0"), now: late).cores == 6)
    }

    @Test func memoryCountsToo() throws {
        var policy = threeNodes()
        let error = #expect(throws: WireError.self) { try policy.grant(request(1, gibibytes: 17)) }
        #expect(error?.code == .noCapacity)
        _ = try policy.grant(request(2, gibibytes: 10, node: "node0"))
        #expect(throws: WireError.self) { try policy.grant(request(3, gibibytes: 10, node: "node0")) }
    }

    @Test func aNodeThatSlurmTakesAwayLendsNothing() throws {
        var policy = threeNodes()
        let drained = SlurmNodeView(
            at: t0, state: "IDLE+DRAIN", mayLend: false, cores: 8, memory: .gibibytes(16), jobs: [])
        policy.onSlurm([NodeName("node0"): drained], plannedStarts: [:])
        let error = #expect(throws: WireError.self) { try policy.grant(request(1, node: "node0")) }
        #expect(error?.message.contains("IDLE+DRAIN") == true)
        #expect(try policy.grant(request(2, from: "node0")).node != NodeName("node0"))
    }

    @Test func theTermFitsTheSiteAndSlurmsPlan() throws {
        var limits = ClusterLimits()
        limits.termMaximum = .seconds(100)
        limits.termDefault = .seconds(40)
        var policy = threeNodes(limits)
        #expect(try policy.grant(request(1, term: 0)).termEnds == t0 + .seconds(40))
        #expect(try policy.grant(request(2, term: 1e9)).termEnds == t0 + .seconds(100))
        policy.onSlurm(nil, plannedStarts: [NodeName("node0"): t0 + .seconds(20)])
        #expect(try policy.grant(request(3, term: 60)).termEnds == t0 + .seconds(20))
        policy.onSlurm(nil, plannedStarts: [NodeName("node0"): t0 + .milliseconds(500)])
        #expect(throws: WireError.self) { try policy.grant(request(4, node: "node0")) }
    }

    @Test(arguments: [
        request(1, user: .root), request(2, cpus: -1), request(3, cpus: 1 << 20), request(4, gibibytes: -1),
        request(5, term: -1), request(6, term: .infinity), request(7, term: .nan), request(8, gibibytes: 1 << 32),
    ])
    func badDemandsAreRefused(_ request: LeaseRequest) {
        var policy = threeNodes()
        let error = #expect(throws: WireError.self) { try policy.grant(request) }
        #expect(error?.code == .invalid || error?.code == .refused)
        #expect(policy.leases.isEmpty)
    }

    @Test func aUserHasLimits() throws {
        var limits = ClusterLimits()
        limits.leasesPerUser = 2
        limits.coresPerUser = 3
        var policy = threeNodes(limits)
        _ = try policy.grant(request(1, cpus: 2))
        let cores = #expect(throws: WireError.self) { try policy.grant(request(2, cpus: 2)) }
        #expect(cores?.code == .tooMany)
        _ = try policy.grant(request(3))
        let leases = #expect(throws: WireError.self) { try policy.grant(request(4)) }
        #expect(leases?.code == .tooMany)
        #expect(throws: Never.self) { try policy.grant(request(5, user: bob)) }
    }

    @Test func aRepeatedRequestGetsTheSameGrant() throws {
        var policy = threeNodes()
        let first = try policy.grant(request(1, cpus: 4))
        let again = try policy.onLeaseRequest(
            request(1, cpus: 4), leaseID: LeaseID(99), secret: "other", now: t0 + .seconds(1))
        #expect(again.grant.leaseID == first.leaseID)
        #expect(again.grant.secret == first.secret)
        #expect(policy.leases.count == 1)
        // Another user's request with the same id is another request.
        let other = try policy.onLeaseRequest(request(1, user: bob), leaseID: LeaseID(98), secret: "x", now: t0)
        #expect(other.grant.leaseID == LeaseID(98))
    }
}
