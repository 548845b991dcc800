/// Where each block of a region lies, and what may be believed of it. A value: no clock, no I/O.
///
/// Whoever moves the bytes asks here first and reports what became of it. The rules:
///
/// - A write goes to every copy of its block, and is acknowledged when every copy that the map still has holds it, and they
///   are as many as the durability asks. What a write finds with fewer is protected anew first.
/// - A donor that is lost is expelled from every block at once, before any later acknowledgement or read. What completes
///   there afterwards counts for nothing.
/// - One write at a time, or one protection anew, has a block; nobody reads a block while it is written. Hence two copies
///   never differ for a reader.
/// - A block that was never written reads as zeros. A block whose last copy went is lost: reads say so, until the whole of it
///   is written again. Never zeros.
public struct RegionMap: Sendable {
    /// What acknowledged bytes survive.
    public enum Protection: Hashable, Sendable {
        /// One copy: a lost donor loses them.
        case none
        /// Two donors that do not share fate.
        case pair
        /// A file of the borrower's, and a donor for speed as long as there is room: they survive every donor.
        case scratch
    }

    /// Where one copy lies.
    public enum Place: Hashable, Sendable {
        /// At block `slot` of a donor's memory.
        case donor(Int, slot: Int)
        /// In the scratch file, at the block's own offset.
        case scratch
    }

    enum Content: UInt8 { case untouched, held, lost }
    enum Holder: UInt8 { case nobody, write, protection }

    struct Block {
        var first: Place?
        var second: Place?
        var content = Content.untouched
        var holder = Holder.nobody
        /// Copies whose writes have not been reported.
        var pending: UInt8 = 0
        /// Whether it is among those that may lack a copy.
        var isListed = false

        func contains(_ place: Place) -> Bool { first == place || second == place }
        var count: Int { (first == nil ? 0 : 1) + (second == nil ? 0 : 1) }

        mutating func add(_ place: Place) { if first == nil { first = place } else { second = place } }
        mutating func remove(_ place: Place) {
            if second == place { second = nil }
            if first == place {
                first = second
                second = nil
            }
        }
    }

    public let protection: Protection
    public let blockCount: Int
    /// Goes up with every expulsion.
    public internal(set) var epoch = 0
    /// Blocks whose last copy went and that were not written since.
    public internal(set) var lostBlocks = 0
    var blocks: [Block]
    var donors: [DonorRoom]
    /// Of pairs, one copy lies at one of so many donors, the other at one of the rest.
    let firstSet: Int
    /// Blocks that may lack a copy.
    var lacking: [Int] = []
    /// Those for which there was no room, and how often room had been given back by then.
    var aside: [Int] = []
    var roomsGivenBack = 0
    var roomsGivenBackThen = 0

    /// - Parameters:
    ///   - donors: how many blocks each holds, and with whom it shares fate.
    ///   - firstSet: of pairs, how many of them hold first copies as far as there is room; nil is half.
    public init(
        blockCount: Int, protection: Protection, donors: [(blocks: Int, fate: DonorFate)], firstSet: Int? = nil
    ) {
        self.blockCount = blockCount
        self.protection = protection
        blocks = Array(repeating: Block(), count: blockCount)
        self.firstSet = min(max(0, firstSet ?? donors.count / 2), donors.count)
        self.donors = donors.map { DonorRoom(capacity: $0.blocks, fate: $0.fate) }
    }

    // MARK: Reading

    public enum ReadAnswer: Hashable, Sendable {
        /// Never written.
        case zeros
        case from(Place)
        /// The last copy went.
        case lost
        /// Somebody has the block; ask again after the next report.
        case busy
    }

    /// Where a block is to be read.
    @inline(__always)
    public func read(_ block: Int) -> ReadAnswer {
        let state = blocks[block]
        if state.holder == .write { return .busy }
        switch state.content {
        case .untouched: return .zeros
        case .lost: return .lost
        case .held:
            // With nothing left the bytes are on their way to a new copy, or were lost with the old.
            guard let place = state.first else { return .busy }
            guard place == .scratch, let other = state.second else { return .from(place) }
            return .from(other)
        }
    }

    /// Whether what was read there may be believed: the copy is still one.
    @inline(__always)
    public func mayBelieve(_ block: Int, readFrom place: Place) -> Bool { blocks[block].contains(place) }

    // MARK: Losing

    /// Expels a donor from every block. Idempotent.
    public mutating func donorLost(_ donor: Int) {
        guard !donors[donor].isLost else { return }
        donors[donor].isLost = true
        epoch += 1
        for slot in donors[donor].owners.indices where donors[donor].owners[slot] >= 0 {
            expel(.donor(donor, slot: slot), from: Int(donors[donor].owners[slot]))
        }
        donors[donor].owners = []
        donors[donor].free = []
    }

    mutating func expel(_ place: Place, from block: Int) {
        guard blocks[block].contains(place) else { return }
        blocks[block].remove(place)
        guard blocks[block].holder == .nobody, blocks[block].content == .held else { return }
        if blocks[block].count == 0 { lose(block) } else { list(block) }
    }

    /// Has a copy made of a block when there is one to be made.
    mutating func list(_ block: Int) {
        guard !blocks[block].isListed, lacks(block) else { return }
        blocks[block].isListed = true
        lacking.append(block)
    }

    mutating func lose(_ block: Int) {
        if blocks[block].content != .lost { lostBlocks += 1 }
        blocks[block].content = .lost
    }

    func isProtected(_ block: Int) -> Bool {
        switch protection {
        case .none: blocks[block].count >= 1
        case .pair: blocks[block].count == 2
        case .scratch: blocks[block].contains(.scratch)
        }
    }
}
