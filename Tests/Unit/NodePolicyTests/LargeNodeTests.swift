import FallowModel
import FallowPolicy
import FallowWire
import Testing

/// 512 cores, 100 jobs, 500 leases: each event has to be over before a step's start notices.
@Suite(.serialized) struct ALargeNode {
    static func make() throws -> NodePolicy {
        var policy = NodePolicy(
            rules: NodeRules(
                cores: 512, memory: gib(2048), switches: LendingSwitches(unallocated: true, lent: true),
                coresAreLogical: true))
        _ = policy.onSlurmView(slurmView(at: 0, cores: 512, memory: gib(2048)), now: at(0))
        for job in 0..<100 {
            let first = job * 5
            _ = policy.onStepStart(
                step(UInt32(job + 1), "\(first)-\(first + 4)", gib(10), promise(5, gib(5))), now: at(0))
        }
        for lease in 0..<500 { try policy.lease(UInt64(lease), 1, .mebibytes(100)) }
        return policy
    }

    static func median(_ times: Int = 15, _ body: (Int) -> Void) -> Duration {
        (0..<times).map { turn in ContinuousClock().measure { body(turn) } }.sorted()[times / 2]
    }

    @Test func isFast() throws {
        let policy = try Self.make()
        #expect(policy.leases.count == 500)
        var ledger = UseLedger()
        ledger.advance(to: at(0), as: policy)
        let view = slurmView(
            at: 2, (1...100).map { seenBySlurm(UInt32($0), "\(($0 - 1) * 5)-\($0 * 5 - 1)", gib(10)) }, cores: 512,
            memory: gib(2048))
        var worst: [(String, Duration)] = []
        func measure(_ name: String, _ body: (inout NodePolicy, Int) -> Void) {
            var copy = policy
            worst.append((name, Self.median { body(&copy, $0) }))
        }
        measure("step start, nothing to revoke") {
            _ = $0.onStepStart(step(50, "245-249", gib(10)), now: at(Double($1)))
        }
        measure("step start that takes every core") { _ = $0.onStepStart(step(777, nil, .zero), now: at(Double($1))) }
        measure("sample of one job") {
            _ = $0.onSample(JobID(50), cpuSeconds: Double($1), memory: .zero, now: at(Double($1)))
        }
        measure("tick") { _ = $0.onTick(now: at(Double($1))) }
        measure("view") { _ = $0.onSlurmView(view, now: at(2 + Double($1) / 100)) }
        measure("offer") { policy, _ in _ = policy.offer(at: at(0)) }
        measure("close and open") {
            $0.close(LeaseID(UInt64($1)))
            _ = try? $0.lease(UInt64(1000 + $1), 1, .mebibytes(100))
        }
        worst.append(("ledger", Self.median { ledger.advance(to: at(Double($0)), as: policy) }))
        for (name, time) in worst {
            print("large node, \(name): \(time)")
            // Debug builds on a busy machine; a release build takes a tenth or less.
            #expect(time < .milliseconds(50), "\(name)")
        }
    }
}
