import FallowMemory
import Glibc
import Testing

/// The block map alone, without I/O: every order of events for small cases, seeds for long ones.
@Suite struct RegionMapTests {
    static func donors(_ count: Int, blocks: Int = 4) -> [(blocks: Int, fate: DonorFate)] {
        (0..<count).map { (blocks, DonorFate(node: "n\($0)", beneath: UInt32($0))) }
    }

    private enum Step: Hashable {
        case beginWrite
        case stepWrite(Int)
        case beginRead, stepRead, beginCopy, stepCopy
        case lose(Int)
    }

    /// Every order of two writes' steps, a read's, a copy's and the losses of `losses` donors, to a depth.
    /// - Returns: what was wrong, and how many orders there were.
    private func explore(
        _ protection: RegionMap.Protection, donors: Int, losses: Int, depth: Int, flaw: Flaw = .none
    ) -> (complaints: Set<String>, states: Int) {
        var complaints: Set<String> = []
        var states = 0
        func visit(_ model: RegionModel, _ depth: Int, _ writesLeft: Int, _ readsLeft: Int) {
            states += 1
            var checked = model
            checked.checkDurable(lossesAllowed: protection == .pair ? 1 : protection == .scratch ? donors : 0)
            complaints.formUnion(checked.complaints)
            guard depth > 0, checked.complaints.isEmpty else { return }
            func go(_ writes: Int = 0, _ reads: Int = 0, _ step: (inout RegionModel) -> Void) {
                var next = model
                step(&next)
                visit(next, depth - 1, writesLeft - writes, readsLeft - reads)
            }
            if writesLeft > 0 { go(1) { $0.beginWrite(0) } }
            if readsLeft > 0 { go(0, 1) { $0.beginRead(0) } }
            for index in model.writes.indices {
                go { $0.stepWrite(index) }
                // The other copy first.
                if model.writes[index].open.count == 2 {
                    go {
                        $0.writes[index].open.swapAt(0, 1)
                        $0.stepWrite(index)
                    }
                }
            }
            for index in model.reads.indices { go { $0.stepRead(index) } }
            for index in model.copies.indices { go { $0.stepCopy(index) } }
            if model.copies.isEmpty { go { $0.beginCopy() } }
            if model.isAlive.count(where: { !$0 }) < losses {
                for donor in model.isAlive.indices where model.isAlive[donor] { go { $0.lose(donor) } }
            }
        }
        let start = RegionModel(blocks: 1, protection: protection, donors: Self.donors(donors), flaw: flaw)
        visit(start, depth, 3, 2)
        return (complaints, states)
    }

    @Test(arguments: [
        (RegionMap.Protection.none, 2, 1), (.pair, 3, 1), (.pair, 3, 2), (.scratch, 2, 2),
    ])
    func everyOrderOfEventsKeepsThePromises(_ protection: RegionMap.Protection, _ donors: Int, _ losses: Int) {
        let (complaints, states) = explore(protection, donors: donors, losses: losses, depth: 8)
        #expect(complaints.isEmpty, "\(complaints.sorted().prefix(3))")
        #expect(states > 10_000)
    }

    /// Each promise's check sees a driver that breaks it.
    @Test(arguments: Flaw.allCases.filter { $0 != .none })
    func aFlawIsSeen(_ flaw: Flaw) {
        let protection: RegionMap.Protection = flaw == .readsZeros || flaw == .believesTheExpelled ? .none : .pair
        let (complaints, _) = explore(
            protection, donors: 3, losses: flaw == .ignoresTheHolder ? 2 : 1, depth: 8, flaw: flaw)
        #expect(!complaints.isEmpty, "\(flaw) went unseen")
    }

    @Test func longRunsKeepThePromises() {
        let count = getenv("FALLOW_TEST_SEEDS").flatMap { Int(String(cString: $0)) } ?? 300
        for seed in 0..<count {
            let protection: RegionMap.Protection = [.none, .pair, .scratch][seed % 3]
            var generator = Seeded(state: UInt64(seed))
            var model = RegionModel(blocks: 6, protection: protection, donors: Self.donors(5, blocks: 5))
            for _ in 0..<400 {
                switch Int.random(in: 0..<100, using: &generator) {
                case 0..<25: model.beginWrite(Int.random(in: 0..<6, using: &generator))
                case 25..<50:
                    if let index = model.writes.indices.randomElement(using: &generator) {
                        if Bool.random(using: &generator) { model.writes[index].open.reverse() }
                        model.stepWrite(index)
                    }
                case 50..<65: model.beginRead(Int.random(in: 0..<6, using: &generator))
                case 65..<80:
                    if let index = model.reads.indices.randomElement(using: &generator) { model.stepRead(index) }
                case 80..<87: model.beginCopy()
                case 87..<99:
                    if let index = model.copies.indices.randomElement(using: &generator) { model.stepCopy(index) }
                default:
                    if model.isAlive.count(where: { $0 }) > 2 { model.lose(Int.random(in: 0..<5, using: &generator)) }
                }
                // Any number of losses is survived by pairs whose bytes were copied in time; what was not is said to be lost.
                model.checkDurable(lossesAllowed: protection == .pair ? 1 : protection == .scratch ? 5 : 0)
            }
            #expect(model.complaints.isEmpty, "seed \(seed), \(protection): \(model.complaints.prefix(2))")
        }
    }

    @Test func pairsDoNotShareFate() {
        let unallocated = (0..<3).map { (blocks: 4, fate: DonorFate(node: "n\($0)", beneath: nil)) }
        var map = RegionMap(blockCount: 2, protection: .pair, donors: unallocated)
        #expect(map.beginWrite(0, isWhole: true) == .noRoom, "one large job takes all of them")
        map = RegionMap(
            blockCount: 2, protection: .pair,
            donors: unallocated + [(4, DonorFate(node: "n0", beneath: 7)), (4, DonorFate(node: "n4", beneath: 8))])
        for block in 0..<2 {
            guard case .go(.donor(let first, _), .donor(let second, _), _) = map.beginWrite(block, isWhole: true) else {
                Issue.record("no pair")
                return
            }
            #expect(second >= 3 && !(first == 0 && second == 3))
        }
    }

    /// Sets of different sizes, as where the first waited for the job: first copies fill the whole of it before any goes elsewhere.
    @Test func copiesOfPairsLieInTheirSets() {
        let first = (0..<3).map { (blocks: 2, fate: DonorFate(node: "n\($0)", beneath: UInt32($0))) }
        let second = [(blocks: 6, fate: DonorFate(node: "n9", beneath: UInt32(9)))]
        var map = RegionMap(blockCount: 6, protection: .pair, donors: first + second, firstSet: 3)
        for block in 0..<6 {
            guard case .go(.donor(let first, _), .donor(let second, _), _) = map.beginWrite(block, isWhole: true) else {
                Issue.record("no room for block \(block)")
                return
            }
            #expect(first < 3 && second == 3)
        }
    }

    @Test func whatIsLostIsSaidUntilItIsWrittenWhole() {
        var map = RegionMap(blockCount: 3, protection: .none, donors: Self.donors(2))
        #expect(map.read(0) == .zeros)
        guard case .go(let place, nil, fillsBlock: true) = map.beginWrite(0, isWhole: false) else {
            Issue.record("no place")
            return
        }
        #expect(map.read(0) == .busy && map.beginWrite(0, isWhole: true) == .busy)
        #expect(map.finishWrite(0, at: place, isGood: true) == .acknowledged)
        #expect(map.read(0) == .from(place))
        map.donorLost(0)
        map.donorLost(0)
        #expect(map.epoch == 1 && map.read(0) == .lost && map.lostBlocks == 1)
        #expect(map.beginWrite(0, isWhole: false) == .lost)
        guard case .go(let other, nil, _) = map.beginWrite(0, isWhole: true) else {
            Issue.record("no other place")
            return
        }
        #expect(map.finishWrite(0, at: other, isGood: true) == .acknowledged)
        #expect(map.read(0) == .from(other) && map.lostBlocks == 0)
        map.donorLost(1)
        #expect(map.beginWrite(1, isWhole: true) == .noRoom)
    }
}

/// A generator whose numbers a seed decides (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
