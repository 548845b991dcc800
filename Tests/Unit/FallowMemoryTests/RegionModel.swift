import FallowMemory

/// What is done wrong on purpose, to see that the checks see it.
enum Flaw: String, CaseIterable {
    case none
    /// A write is acknowledged with its first copy.
    case acknowledgesEarly
    /// A lost donor stays in the map.
    case keepsTheLost
    /// A lost block reads as zeros.
    case readsZeros
    /// A block is written while it is copied.
    case ignoresTheHolder
    /// What was read from a copy that was expelled meanwhile is taken.
    case believesTheExpelled
}

/// A region without I/O: donors are arrays of numbers, every transfer is a step of its own, and a donor may be lost between
/// any two. What is written is a number that nothing else writes; zero is what nobody wrote.
struct RegionModel {
    var map: RegionMap
    let flaw: Flaw
    /// What lies where.
    var donors: [[Int]]
    var scratch: [Int]
    var isAlive: [Bool]
    /// The last acknowledged number of each block, and those that began since: what a reader may see.
    var acknowledged: [Int]
    var begun: [Set<Int>]
    var next = 1
    var writes: [Write] = []
    var copies: [Copying] = []
    var reads: [Reading] = []
    var complaints: [String] = []

    struct Write: Hashable {
        var block: Int
        var value: Int
        var open: [RegionMap.Place]
        var isTold = false
    }
    struct Copying: Hashable {
        var job: Reprotection
        var value: Int?
    }
    struct Reading: Hashable {
        var block: Int
        var place: RegionMap.Place
        var value: Int?
        /// What was acknowledged when it began.
        var since: Int
    }

    init(blocks: Int, protection: RegionMap.Protection, donors: [(blocks: Int, fate: DonorFate)], flaw: Flaw = .none) {
        map = RegionMap(blockCount: blocks, protection: protection, donors: donors)
        self.flaw = flaw
        self.donors = donors.map { Array(repeating: 0, count: $0.blocks) }
        scratch = Array(repeating: 0, count: blocks)
        isAlive = donors.map { _ in true }
        acknowledged = Array(repeating: 0, count: blocks)
        begun = Array(repeating: [], count: blocks)
    }

    /// What a read there gives. A lost donor's memory gives zeros, and says that all is well.
    func load(_ place: RegionMap.Place, _ block: Int) -> Int {
        switch place {
        case .scratch: scratch[block]
        case .donor(let donor, let slot): isAlive[donor] ? donors[donor][slot] : 0
        }
    }
    /// A lost donor takes what is written, says that all is well, and has nothing.
    mutating func store(_ value: Int, _ place: RegionMap.Place, _ block: Int) {
        switch place {
        case .scratch: scratch[block] = value
        case .donor(let donor, let slot): if isAlive[donor] { donors[donor][slot] = value }
        }
    }
    func isThere(_ place: RegionMap.Place) -> Bool {
        if case .donor(let donor, _) = place { isAlive[donor] } else { true }
    }

    mutating func lose(_ donor: Int) {
        guard isAlive[donor] else { return }
        isAlive[donor] = false
        if flaw != .keepsTheLost { map.donorLost(donor) }
    }

    mutating func beginWrite(_ block: Int) {
        var isBusyAnyway = false
        if flaw == .ignoresTheHolder, let job = copies.first(where: { $0.job.block == block })?.job {
            // The source alone gets the new bytes; the copy that is being made does not.
            isBusyAnyway = true
            let value = next
            next += 1
            store(value, job.from, block)
            acknowledged[block] = value
        }
        if isBusyAnyway { return }
        switch map.beginWrite(block, isWhole: true) {
        case .go(let first, let second, _):
            begun[block].insert(next)
            writes.append(Write(block: block, value: next, open: [first, second].compactMap(\.self)))
            next += 1
        case .protectFirst(let job): copies.append(Copying(job: job))
        case .busy, .lost, .noRoom: break
        }
    }

    /// Moves the bytes of one open place of a write, and reports it.
    mutating func stepWrite(_ index: Int) {
        let place = writes[index].open.removeFirst()
        let (block, value) = (writes[index].block, writes[index].value)
        store(value, place, block)
        if flaw == .acknowledgesEarly, !writes[index].isTold {
            writes[index].isTold = true
            acknowledge(block, value)
        }
        guard let outcome = map.finishWrite(block, at: place, isGood: true) else { return }
        let isTold = writes[index].isTold
        writes.remove(at: index)
        switch outcome {
        case .acknowledged: if !isTold { acknowledge(block, value) }
        case .again: break
        case .lost: break
        }
    }

    private mutating func acknowledge(_ block: Int, _ value: Int) {
        if map.protection == .pair, map.copies(of: block).filter(isThere).count < 2 {
            complaints.append("block \(block): \(value) is acknowledged with fewer than two copies")
        }
        acknowledged[block] = value
        begun[block] = []
    }

    mutating func beginCopy() { if let job = map.nextProtection() { copies.append(Copying(job: job)) } }

    /// Reads, then writes a copy that is made.
    mutating func stepCopy(_ index: Int) {
        let job = copies[index].job
        guard let value = copies[index].value else {
            let value = load(job.from, job.block)
            if map.mayBelieve(job.block, readFrom: job.from) {
                copies[index].value = value
            } else {
                copies.remove(at: index)
                _ = map.finishProtection(job, isRead: false, isWritten: false)
            }
            return
        }
        copies.remove(at: index)
        store(value, job.to, job.block)
        _ = map.finishProtection(job, isRead: true, isWritten: true)
    }

    mutating func beginRead(_ block: Int) {
        switch map.read(block) {
        case .zeros: check(block, 0, since: acknowledged[block], "was never written")
        case .from(let place):
            reads.append(Reading(block: block, place: place, value: nil, since: acknowledged[block]))
        case .lost: if flaw == .readsZeros { check(block, 0, since: acknowledged[block], "lost") }
        case .busy: break
        }
    }

    mutating func stepRead(_ index: Int) {
        let reading = reads[index]
        guard let value = reading.value else {
            reads[index].value = load(reading.place, reading.block)
            return
        }
        reads.remove(at: index)
        guard flaw == .believesTheExpelled || map.mayBelieve(reading.block, readFrom: reading.place) else { return }
        check(reading.block, value, since: reading.since, "read from \(reading.place)")
    }

    /// A reader saw this: the last acknowledged number when it began, or one that is newer.
    mutating func check(_ block: Int, _ value: Int, since: Int, _ how: String) {
        if value != since && value <= since { complaints.append("block \(block): \(value) after \(since), \(how)") }
        if value == 0 && since != 0 { complaints.append("block \(block): zeros for \(since), \(how)") }
    }

    /// Whether every acknowledged number can still be had, when all that is under way has been dropped.
    mutating func checkDurable(lossesAllowed: Int) {
        for block in acknowledged.indices where acknowledged[block] != 0 {
            let holders = map.copies(of: block).filter(isThere).map { load($0, block) }
            let isHeld = holders.contains { $0 >= acknowledged[block] }
            if holders.contains(where: { $0 < acknowledged[block] }) && !writes.contains(where: { $0.block == block }) {
                complaints.append("block \(block): a copy is stale: \(holders), acknowledged \(acknowledged[block])")
            }
            if !isHeld && isAlive.count(where: { !$0 }) <= lossesAllowed {
                complaints.append("block \(block): \(acknowledged[block]) was acknowledged and is gone")
            }
        }
    }
}
