import FallowModel
import FallowReporting
import FallowWire
import Synchronization

@testable import FallowWeb

let hostile = "<script>alert(1)</script>\" onload='x' &amp;"
let now = Timestamp(secondsSinceEpoch: 1_800_000_000)

func view(
    _ node: String, cores: Int = 8, allocated: Int = 0, leased: Int = 0, used: Double? = nil, seen: Double? = 1,
    pressure: NodePressure? = nil, state: String? = "IDLE"
) -> NodeView {
    NodeView(
        node: NodeName(node), slurmState: state, lastReportSeconds: seen, version: "1", cores: cores,
        memory: .gibibytes(16), allocatedCores: allocated, leasedCores: leased, leasedMemory: .gibibytes(1),
        offer: Offer(cores: cores - allocated), withheldReason: nil, switches: LendingSwitches(), usedCores: used,
        pressure: pressure)
}

func tile(_ view: NodeView) -> NodeTile { NodeTile(view, silentAfter: .seconds(6)) }

func lease(_ id: UInt64, user: UInt32, ended: LeaseEnd? = nil, beneath: UInt32? = nil) -> LeaseView {
    LeaseView(
        leaseID: LeaseID(id), user: UserID(user), node: NodeName("n1"), clientNode: NodeName("n2"), cpus: 2,
        memory: .gibibytes(1), grantedAt: now, termEnds: now + .seconds(60), endedAt: ended.map { _ in now },
        reason: ended, detail: hostile, beneath: beneath.map { JobID($0) }, usedCoreSeconds: 1, libraryName: hostile)
}

func job(_ id: UInt32, user: UInt32, account: String? = "physics") -> JobUse {
    JobUse(
        facts: JobFacts(jobID: JobID(id), account: account, partition: hostile, cpus: 8, tasks: 1), user: UserID(user),
        nodes: 1, runs: 1, cores: 8, memory: .gibibytes(64), peakMemory: .gibibytes(8), firstSeenAt: now,
        lastSeenAt: now + .seconds(7200), ended: true, measured: true, serverless: hostile, heldCoreSeconds: 57_600,
        usedCoreSeconds: 50_000, lentCoreSeconds: 100, heldByteSeconds: 1e12, usedByteSeconds: 1e11, lentByteSeconds: 0)
}

func status(_ nodes: [NodeView], leases: Int = 0) -> ClusterStatus {
    ClusterStatus(
        cluster: "c", version: "1", startedAt: now, nodesReporting: nodes.count, nodesSilent: 0,
        cores: nodes.reduce(0) { $0 + $1.cores }, allocatedCores: 0, leasedCores: 0, offeredCores: 0, leases: leases,
        slurmAnswers: true)
}

/// A cluster that is what a test says.
final class FixedSource: WebSource {
    struct State: Sendable {
        var nodes: [NodeView] = []
        var leases: [LeaseView] = []
        var ended: [LeaseView] = []
        var privateData: PrivateData = []
        var looks = 0
    }
    let state = Mutex(State())
    func status() async -> ClusterStatus {
        state.withLock { FallowWebTests.status($0.nodes, leases: $0.leases.count) }
    }
    func nodes() async -> [NodeView] {
        state.withLock {
            $0.looks += 1
            return $0.nodes
        }
    }
    func jobs() async -> [JobView] { [] }
    func leases() async -> [LeaseView] { state.withLock { $0.leases } }
    func endedLeases(limit: Int) async throws -> [LeaseView] { state.withLock { Array($0.ended.prefix(limit)) } }
    func privateData() async -> PrivateData { state.withLock { $0.privateData } }
    func report(_ question: WebQuestion) async throws -> CapacityReport { throw WireError(.unavailable, "none") }
    func series(_ question: WebQuestion, stepSeconds: Int64, rowLimit: Int) async throws -> CapacitySeries {
        throw WireError(.unavailable, "none")
    }
    var historyProblem: String? { nil }
}
