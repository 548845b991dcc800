import FallowModel
import FallowPolicy
import FallowWire
import Testing

/// A repeatable source of randomness (SplitMix64).
struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// A node that obeys grants until their `obeyBefore`, and whose reports arrive late, or twice, or not at all.
private struct Agent {
    let name: String
    let capacity: Int
    var running: [LeaseID: Grant] = [:]
    var overcommitted = false
    var sequence: UInt64 = 0
    var unsent: [LeaseEnded] = []
    var onTheWay: [NodeReport] = []

    mutating func obey(_ grant: Grant, now: Timestamp) {
        guard now < grant.obeyBefore, running[grant.leaseID] == nil else { return }
        running[grant.leaseID] = grant
        if used > capacity { overcommitted = true }
    }
    var used: Int { running.values.reduce(0) { $0 + $1.demand.cpus } }
    mutating func makeReport(now: Timestamp) {
        sequence += 1
        onTheWay.append(
            report(
                name, sequence: sequence, at: now, cores: capacity, offer: offer(capacity - used, 1024),
                leases: running.values.map { Shown.running($0) }, ended: unsent))
    }
}
private enum Shown {
    static func running(_ grant: Grant) -> LeaseReport {
        LeaseReport(
            leaseID: grant.leaseID, user: grant.user, cores: AbstractCoreSet(0..<grant.demand.cpus),
            memory: grant.demand.memory, startedAt: t0, termEnds: grant.termEnds, beneath: nil, usedCoreSeconds: 0,
            libraryName: "f.so")
    }
}

@Suite struct RandomTests {
    @Test(arguments: 0..<300 as Range<UInt64>)
    func neverMoreIsGrantedThanOffered(_ seed: UInt64) throws {
        var dice = Dice(state: seed)
        var limits = ClusterLimits()
        limits.obeyWithin = .seconds(3)
        limits.silentAfter = .seconds(1_000_000)
        limits.leasesPerUser = 1_000_000
        limits.coresPerUser = 1_000_000
        var policy = ClusterPolicy(limits: limits)
        var agents = (0..<3).map { Agent(name: "node\($0)", capacity: Int.random(in: 1...8, using: &dice)) }
        var grants: [Grant] = []
        var now = t0
        var granted = 0
        for step in 0..<400 as Range<UInt64> {
            now = now + .milliseconds(Int.random(in: 0...500, using: &dice))
            let index = Int.random(in: 0..<agents.count, using: &dice)
            switch Int.random(in: 0..<9, using: &dice) {
            case 0, 1:
                let wanted = request(
                    seed << 32 | step + 1, from: "node\(index)", cpus: Int.random(in: 1...4, using: &dice),
                    remote: Bool.random(using: &dice))
                if let grant = try? policy.grant(wanted, now: now) {
                    grants.append(grant)
                    granted += 1
                }
            case 2, 3:
                guard let position = grants.indices.randomElement(using: &dice) else { continue }
                let grant = grants.remove(at: position)
                let target = agents.firstIndex { NodeName($0.name) == grant.node }!
                agents[target].obey(grant, now: now)
            case 4:
                guard let id = agents[index].running.keys.sorted(by: { $0.number < $1.number }).first else { continue }
                let grant = agents[index].running.removeValue(forKey: id)!
                agents[index].unsent.append(ended(grant, at: now))
                if Bool.random(using: &dice) {
                    _ = policy.release(id, reason: .released, endedOnNode: false, now: now)
                }
            case 5: agents[index].makeReport(now: now)
            case 6, 7:
                guard !agents[index].onTheWay.isEmpty else { continue }
                let position = Int.random(in: 0..<agents[index].onTheWay.count, using: &dice)
                let report = agents[index].onTheWay[position]
                if Bool.random(using: &dice) { agents[index].onTheWay.remove(at: position) }
                _ = policy.onReport(report, now: now)
                for notice in policy.ends(for: report.node) {
                    guard let grant = agents[index].running.removeValue(forKey: notice.leaseID) else { continue }
                    agents[index].unsent.append(ended(grant, at: now, notice.reason))
                }
            default: _ = policy.onTime(now)
            }
            #expect(!agents.contains { $0.overcommitted }, "seed \(seed), step \(step)")
        }
        if seed == 0 { #expect(granted > 0) }
    }
}
