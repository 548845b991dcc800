import FallowModel
import FallowPolicy
import FallowWire

let t0 = Timestamp(nanosecondsSinceEpoch: 1_700_000_000_000_000_000)
let alice = UserID(1001)
let bob = UserID(1002)

func report(
    _ node: String, instance: UInt64 = 1, sequence: UInt64, at: Timestamp, cores: Int = 8, offer: Offer,
    leases: [LeaseReport] = [], ended: [LeaseEnded] = [], startedAt: Timestamp = t0
) -> NodeReport {
    NodeReport(
        node: NodeName(node), agentURL: "http://\(node):1", version: "1", instance: instance, sequence: sequence,
        at: at,
        instanceStartedAt: startedAt, cores: cores, memory: .gibibytes(16), offer: offer, withheldReason: nil,
        switches: LendingSwitches(unallocated: true), integrals: NodeIntegrals(), jobs: [], leases: leases,
        ended: ended,
        reclaims: [])
}

func offer(_ cores: Int, _ gibibytes: Int64 = 16) -> Offer { Offer(cores: cores, memory: .gibibytes(gibibytes)) }

func request(
    _ id: UInt64, user: UserID = alice, from: String = "node0", cpus: Int = 1, gibibytes: Int64 = 1, term: Double = 60,
    node: String? = nil, remote: Bool = false
) -> LeaseRequest {
    LeaseRequest(
        requestID: id, user: user, fromNode: NodeName(from), fromAgentURL: "http://\(from):1",
        demand: LeaseDemand(
            cpus: cpus, memory: .gibibytes(gibibytes), termSeconds: term, node: node.map { NodeName($0) },
            remote: remote, libraryName: "f.so"))
}

func running(_ grant: Grant, cores: AbstractCoreSet? = nil, at: Timestamp = t0) -> LeaseReport {
    LeaseReport(
        leaseID: grant.leaseID, user: grant.user, cores: cores ?? AbstractCoreSet(0..<grant.demand.cpus),
        memory: grant.demand.memory, startedAt: at, termEnds: grant.termEnds, beneath: nil, usedCoreSeconds: 0,
        libraryName: "f.so")
}

func ended(_ grant: Grant, at: Timestamp, _ reason: LeaseEnd = .released) -> LeaseEnded {
    LeaseEnded(lease: running(grant), at: at, reason: reason)
}

extension ClusterPolicy {
    /// A grant with an id made of the request's.
    mutating func grant(_ request: LeaseRequest, now: Timestamp = t0) throws(WireError) -> Grant {
        try onLeaseRequest(request, leaseID: LeaseID(request.requestID), secret: "s\(request.requestID)", now: now)
            .grant
    }
}

/// Three nodes that offer 8, 8 and 6 cores.
func threeNodes(_ limits: ClusterLimits = ClusterLimits()) -> ClusterPolicy {
    var policy = ClusterPolicy(limits: limits)
    _ = policy.onReport(report("node0", sequence: 1, at: t0, offer: offer(6)), now: t0)
    _ = policy.onReport(report("node2", sequence: 1, at: t0, offer: offer(8)), now: t0)
    _ = policy.onReport(report("node1", sequence: 1, at: t0, offer: offer(8)), now: t0)
    return policy
}
