import FallowModel
import FallowPolicy
import FallowWire
import Foundation
import Testing

private func pools(_ unallocated: Int64, beneath: [UInt32: Int64] = [:]) -> [MemoryOffer] {
    [MemoryOffer(pool: .unallocated, memory: .gibibytes(unallocated))]
        + beneath.sorted { $0.key < $1.key }.map {
            MemoryOffer(pool: LendingPool(beneath: JobID($0.key)), memory: .gibibytes($0.value))
        }
}

private func tells(_ node: String, _ pools: [MemoryOffer]?, sequence: UInt64 = 1, leases: [LeaseReport] = [])
    -> NodeReport
{
    var told = report(node, sequence: sequence, at: t0, offer: offer(4), leases: leases)
    told.memoryPools = pools
    return told
}

private func wants(
    _ id: UInt64, _ gibibytes: Int64 = 2, from: String = "node0", user: UserID = alice, node: String? = nil,
    remote: Bool = false, avoid: [UInt64]? = nil, cpus: Int = 0
) -> LeaseRequest {
    LeaseRequest(
        requestID: id, user: user, fromNode: NodeName(from), fromAgentURL: "http://\(from):1",
        demand: LeaseDemand(
            kind: .memory, cpus: cpus, memory: .gibibytes(gibibytes), node: node.map { NodeName($0) }, remote: remote,
            libraryName: "", avoid: avoid?.map { LeaseID($0) }))
}

/// Three nodes with 10, 20 and 30 GiB that no job holds; on node2 a job lends 8 more.
private func memoryNodes(_ limits: ClusterLimits = ClusterLimits()) -> ClusterPolicy {
    var policy = ClusterPolicy(limits: limits)
    _ = policy.onReport(tells("node0", pools(10)), now: t0)
    _ = policy.onReport(tells("node1", pools(20)), now: t0)
    _ = policy.onReport(tells("node2", pools(30, beneath: [7: 8])), now: t0)
    return policy
}

@Suite struct MemoryPlacementTests {
    @Test func theClientsNodeThenWhereThereIsMost() throws {
        var policy = memoryNodes()
        let first = try policy.grant(wants(1))
        #expect(first.node == NodeName("node0") && first.pool == .unallocated && first.demand.cpus == 0)
        #expect(try policy.grant(wants(2, from: "login")).node == NodeName("node2"))
        #expect(try policy.grant(wants(3, remote: true)).node == NodeName("node2"))
        #expect(try policy.grant(wants(4, node: "node1")).node == NodeName("node1"))
    }

    @Test func whatIsGrantedIsReservedWithWhatTheDonorNeeds() throws {
        var policy = memoryNodes()
        _ = try policy.grant(wants(1, 4, node: "node0"))
        _ = try policy.grant(wants(2, 4, node: "node0"))
        let left = policy.availableMemory(on: NodeName("node0"), now: t0)[0].memory
        #expect(left == .gibibytes(2) - LeaseDemand.donorNeeds - LeaseDemand.donorNeeds)
        let error = #expect(throws: WireError.self) { try policy.grant(wants(3, 2, node: "node0")) }
        #expect(error?.code == .noCapacity)
        // Cores were never asked for.
        #expect(policy.available(on: NodeName("node0"), now: t0).cores == 4)
    }

    @Test func memoryThatNoJobHoldsGoesBeforeAJobs() throws {
        var policy = memoryNodes()
        for id in 1...7 { #expect(try policy.grant(wants(UInt64(id), 4, node: "node2")).pool == .unallocated) }
        #expect(try policy.grant(wants(8, 4, node: "node2")).pool == LendingPool(beneath: JobID(7)))
    }

    @Test func avoidedLeasesShareNeitherNodeNorUnallocatedMemory() throws {
        var policy = memoryNodes()
        _ = try policy.grant(wants(1))
        let apart = try policy.grant(wants(2, avoid: [1]))
        #expect(apart.node == NodeName("node2") && apart.pool == LendingPool(beneath: JobID(7)))
        // Beneath a job, the other may lie in unallocated memory, but not on that node.
        let third = try policy.grant(wants(3, from: "node2", avoid: [2]))
        #expect(third.node != NodeName("node2") && third.pool == .unallocated)
        let error = #expect(throws: WireError.self) { try policy.grant(wants(4, avoid: [1, 2])) }
        #expect(error?.code == .noCapacity && error?.message.contains("avoided") == true)
        // Of others' leases, and of those that are over, nobody need keep away.
        #expect(try policy.grant(wants(5, user: bob, avoid: [1, 99])).node == NodeName("node0"))
    }

    @Test func aNodesOwnWordOnThePoolCounts() throws {
        var policy = memoryNodes()
        let grant = try policy.grant(wants(1))
        let runs = LeaseReport(
            leaseID: grant.leaseID, kind: .memory, user: alice, cores: AbstractCoreSet(), memory: .gibibytes(2),
            startedAt: t0, termEnds: grant.termEnds, beneath: JobID(3), usedCoreSeconds: 0, libraryName: "")
        _ = policy.onReport(tells("node0", pools(10), sequence: 2, leases: [runs]), now: t0)
        // It lies beneath a job after all: unallocated memory elsewhere does not share its fate.
        #expect(try policy.grant(wants(2, avoid: [1])).pool == .unallocated)
        let view = policy.leaseViews().first { $0.leaseID == grant.leaseID }
        #expect(view?.kind == .memory && view?.cpus == 0 && view?.memory == .gibibytes(2) && view?.beneath == JobID(3))
        let donated = policy.nodeViews(now: t0).first { $0.node == NodeName("node0") }
        #expect(donated?.donatedMemory == .gibibytes(2) && donated?.leasedCores == 0)
    }

    @Test func nodesWithoutDonorsGetNone() throws {
        var policy = ClusterPolicy(limits: ClusterLimits())
        _ = policy.onReport(tells("node0", nil), now: t0)
        let error = #expect(throws: WireError.self) { try policy.grant(wants(1)) }
        #expect(error?.code == .noCapacity)
    }

    @Test func aUsersMemoryIsBounded() throws {
        var limits = ClusterLimits()
        limits.memoryPerUser = .gibibytes(5)
        limits.leasesPerUser = 3
        var policy = memoryNodes(limits)
        _ = try policy.grant(wants(1, 2))
        _ = try policy.grant(wants(2, 2))
        let error = #expect(throws: WireError.self) { try policy.grant(wants(3, 2)) }
        #expect(error?.code == .tooMany && error?.message.contains("lease.memory_per_user") == true)
        _ = try policy.grant(wants(4, 1))
        #expect(throws: WireError.self) { try policy.grant(wants(5, 1)) }
        _ = try policy.grant(wants(6, 2, user: bob))
        // Executors are counted by themselves.
        _ = try policy.grant(request(7))
    }

    @Test(arguments: [
        wants(1, 0x7fff_ffff), wants(2, -1), wants(3, 5), wants(4, 2, cpus: 1), wants(5, user: .root),
        wants(6, from: "node0", node: "node0", remote: true), wants(7, avoid: Array(0..<2000)),
    ])
    func whatIsNoDemand(_ request: LeaseRequest) {
        var policy = memoryNodes()
        let error = #expect(throws: WireError.self) { try policy.grant(request) }
        #expect(error?.code == .invalid || error?.code == .refused)
    }

    @Test func theSitesSizeAndARenewal() throws {
        var policy = memoryNodes()
        #expect(try policy.grant(wants(1, 0)).demand.memory == .gibibytes(2))
        let renewed = try policy.renew(LeaseID(1), termSeconds: 50, now: t0)
        #expect(renewed.demand.kind == .memory && renewed.pool == .unallocated)
    }

    @Test func olderPeersAreUnderstood() throws {
        let demand = """
            {"cpus":1,"memory":1024,"termSeconds":0,"waitSeconds":0,"slotCount":1,"inputBytes":1,"outputBytes":1,
            "remote":false,"libraryName":"f.so"}
            """
        let read = try JSONDecoder().decode(LeaseDemand.self, from: Data(demand.utf8))
        #expect(read.kind == .functions && read.avoid == nil)
        // And what is written now says what it is.
        let written = try JSONEncoder().encode(wants(1).demand)
        #expect(String(decoding: written, as: UTF8.self).contains("\"kind\":\"memory\""))
        #expect(try JSONDecoder().decode(LeaseDemand.self, from: written).kind == .memory)
        let lease = """
            {"leaseID":"00000000000000ff","user":1,"cores":"0","memory":1,"startedAt":1,"termEnds":2,"usedCoreSeconds":0,
            "libraryName":"f.so"}
            """
        #expect(try JSONDecoder().decode(LeaseReport.self, from: Data(lease.utf8)).kind == .functions)
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(
                LeaseDemand.self, from: Data(demand.replacing("\"cpus\"", with: "\"kind\":\"x\",\"cpus\"").utf8))
        }
        #expect(String(decoding: try JSONEncoder().encode(LendingPool.unallocated), as: UTF8.self) == "{}")
    }
}
