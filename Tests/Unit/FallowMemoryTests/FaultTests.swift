import Glibc
import Testing
import TransportTesting

extension DonorTests {
    /// Faults of real donors at every moment of puts and gets, by seeds. FALLOW_TEST_SEEDS says how many (CI: 1,000);
    /// FALLOW_TEST_FIRST_SEED where they begin; FALLOW_TEST_BREACH breaks something on purpose, to see the run fail.
    @Suite struct FaultTests {
        private static func number(_ name: String, _ otherwise: Int) -> Int {
            getenv(name).flatMap { Int(String(cString: $0)) } ?? otherwise
        }

        @Test func noFaultLosesOrHidesAnything() throws {
            let breach = getenv("FALLOW_TEST_BREACH").flatMap { Breach(rawValue: String(cString: $0)) }
            let first = Self.number("FALLOW_TEST_FIRST_SEED", 0)
            for seed in first..<first + Self.number("FALLOW_TEST_SEEDS", 150) {
                // Every third over the network.
                let complaints = try FaultRun(seed: seed, breach: breach, reach: seed % 3 != 0 ? .shm : .stream).run()
                #expect(complaints.isEmpty, "seed \(seed): \(complaints.prefix(3))")
            }
        }

        /// The same over RDMA devices, FALLOW_TEST_VERBS_SEEDS of them: where they are emulated a seed takes seconds.
        @Test(.enabled(if: RDMAHere.isThere)) func noFaultOverVerbsLosesOrHidesAnything() throws {
            let breach = getenv("FALLOW_TEST_BREACH").flatMap { Breach(rawValue: String(cString: $0)) }
            let first = Self.number("FALLOW_TEST_FIRST_SEED", 0)
            for seed in first..<first + Self.number("FALLOW_TEST_VERBS_SEEDS", 12) {
                // An emulated machine stands still now and then: that is no donor's fault.
                let run = FaultRun(
                    seed: seed, breach: breach, reach: .verbs(bindAddress: RDMAHere.server), patience: .seconds(5))
                let complaints = try run.run()
                #expect(complaints.isEmpty, "seed \(seed): \(complaints.prefix(3))")
            }
        }

        @Test(arguments: Breach.allCases)
        func aBreachIsSeen(_ breach: Breach) throws {
            var seen = 0
            for seed in 0..<10 where try !FaultRun(seed: seed, breach: breach).run().isEmpty { seen += 1 }
            #expect(seen > 0, "\(breach) went unseen")
        }
    }
}
