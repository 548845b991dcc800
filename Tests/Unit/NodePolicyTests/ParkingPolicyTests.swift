import FallowModel
import FallowPolicy
import Testing

@Suite("Parking") struct ParkingPolicyTests {
    private static func policy(maximum: Int = 4) -> ParkingPolicy {
        var policy = ParkingPolicy(rules: .init(maximum: maximum))
        policy.onConditions(mayLend: true, memoryPressurePercent: 0)
        return policy
    }

    @Test("Nothing stands ready before anybody asked for a lease, and nothing long after the last")
    func followsDemand() {
        var policy = Self.policy()
        #expect(policy.target(at: at(0)) == 0)
        policy.onLease(now: at(1))
        #expect(policy.change(standing: 0, now: at(1.1)) == .init(start: 1))
        #expect(policy.change(standing: 1, now: at(300)) == .init())
        #expect(policy.change(standing: 1, now: at(302)) == .init(end: 1))
    }

    @Test("As many stand ready as leases began in the busiest second, up to the maximum")
    func burst() {
        var policy = Self.policy(maximum: 4)
        for lease in 0..<3 { policy.onLease(now: at(10 + 0.3 * Double(lease))) }
        #expect(policy.target(at: at(11)) == 3)
        // One a second is a row, not a burst.
        for lease in 0..<20 { policy.onLease(now: at(20 + 1.5 * Double(lease))) }
        #expect(policy.target(at: at(60)) == 3)
        for lease in 0..<9 { policy.onLease(now: at(70 + 0.01 * Double(lease))) }
        #expect(policy.target(at: at(71)) == 4)
        // The larger burst is forgotten, the row with it.
        #expect(policy.target(at: at(371)) == 0)
    }

    @Test("Nothing stands ready while the node may not lend, or memory is short, or the site wants none")
    func closes() {
        var policy = Self.policy()
        policy.onLease(now: at(0))
        #expect(policy.target(at: at(1)) == 1)
        policy.onConditions(mayLend: false, memoryPressurePercent: 0)
        #expect(policy.change(standing: 1, now: at(1)) == .init(end: 1))
        policy.onConditions(mayLend: true, memoryPressurePercent: 12)
        #expect(policy.change(standing: 1, now: at(2)) == .init(end: 1))
        policy.onConditions(mayLend: true, memoryPressurePercent: nil)
        #expect(policy.change(standing: 0, now: at(3)) == .init(start: 1))
        var none = Self.policy(maximum: 0)
        none.onLease(now: at(0))
        #expect(none.change(standing: 0, now: at(1)) == .init())
    }
    @Test("What dies unasked is replaced after a pause that doubles, and the pause ends once one stands")
    func pauses() {
        var policy = Self.policy()
        policy.onLease(now: at(0))
        policy.onLost(now: at(1))
        #expect(policy.change(standing: 0, now: at(1.1)) == .init())
        #expect(policy.change(standing: 0, now: at(1.3)) == .init(start: 1))
        policy.onLost(now: at(2))
        #expect(policy.change(standing: 0, now: at(2.3)) == .init())
        #expect(policy.change(standing: 0, now: at(2.5)) == .init(start: 1))
        // Many that are lost together are one loss.
        for _ in 0..<8 { policy.onLost(now: at(3)) }
        #expect(policy.change(standing: 0, now: at(3.7)) == .init())
        #expect(policy.change(standing: 0, now: at(3.9)) == .init(start: 1))
        for loss in 1...8 { policy.onLost(now: at(100 * Double(loss))) }
        policy.onLease(now: at(800))
        #expect(policy.change(standing: 0, now: at(859)) == .init())
        #expect(policy.change(standing: 0, now: at(861)) == .init(start: 1))
        policy.onReady()
        policy.onLost(now: at(862))
        #expect(policy.change(standing: 0, now: at(862.3)) == .init(start: 1))
        // Ending what is too much needs no pause.
        policy.onLost(now: at(863))
        #expect(policy.change(standing: 3, now: at(863)) == .init(end: 2))
        // With the clock set back it rests no longer than it may.
        policy.onLease(now: at(10))
        #expect(policy.change(standing: 0, now: at(11)) == .init(start: 1))
    }

    @Test("A clock that is set back makes it forget, not remember for ever")
    func clock() {
        var policy = Self.policy()
        policy.onLease(now: at(10_000))
        #expect(policy.target(at: at(5)) == 0)
        policy.onLease(now: at(6))
        #expect(policy.target(at: at(7)) == 1)
        #expect(policy.target(at: at(10_000)) == 0)
    }

    @Test("Whatever happens, it never wants more than the maximum, nor more than were asked for at once")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let maximum = Int.random(in: 0...6, using: &generator)
            var policy = Self.policy(maximum: maximum)
            var now = 0.0
            var asked = 0
            for _ in 0..<100 {
                now += Double.random(in: 0...2, using: &generator)
                if Bool.random(using: &generator) {
                    policy.onLease(now: at(now))
                    asked += 1
                }
                let standing = Int.random(in: 0...8, using: &generator)
                let change = policy.change(standing: standing, now: at(now))
                #expect(change.start >= 0 && change.end >= 0 && change.end <= standing)
                #expect(change.start == 0 || change.end == 0)
                #expect(standing + change.start - change.end <= max(maximum, 0))
                #expect(change.start <= asked)
            }
        }
    }
}
