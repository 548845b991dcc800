/// What takes a donor's memory away together with others'.
public struct DonorFate: Hashable, Sendable {
    /// The node it is on.
    public var node: String
    /// The job beneath which it lies; nil when it lies in memory that no job holds, which one large job's start takes everywhere.
    public var beneath: UInt32?

    public init(node: String, beneath: UInt32?) {
        self.node = node
        self.beneath = beneath
    }

    /// Whether one event may take both.
    public func isShared(with other: DonorFate) -> Bool {
        node == other.node || beneath == other.beneath
    }
}

/// Which blocks of a donor's memory are given out.
struct DonorRoom: Sendable {
    let capacity: Int
    let fate: DonorFate
    var isLost = false
    /// The region's block that each slot holds, as far as slots were ever given out; -1: none.
    var owners: [Int32] = []
    var free: [Int32] = []

    init(capacity: Int, fate: DonorFate) {
        self.capacity = capacity
        self.fate = fate
    }

    mutating func take(for block: Int) -> Int? {
        guard !isLost else { return nil }
        if let slot = free.popLast() {
            owners[Int(slot)] = Int32(block)
            return Int(slot)
        }
        guard owners.count < capacity else { return nil }
        owners.append(Int32(block))
        return owners.count - 1
    }

    mutating func giveBack(_ slot: Int) {
        guard !isLost, owners[slot] >= 0 else { return }
        owners[slot] = -1
        free.append(Int32(slot))
    }
}

extension RegionMap {
    /// Room for a copy of a block at a donor that shares no fate with the copy there is; donors take turns. Of pairs one copy
    /// lies in the first set of donors and one in the second, as far as there is room: whoever leases donors for pairs sees to
    /// it that the sets share no fate.
    mutating func room(for block: Int) -> Place? {
        var other: DonorFate?
        var side = protection == .pair ? 0..<firstSet : donors.indices
        if case .donor(let index, _) = blocks[block].first {
            other = donors[index].fate
            if side.contains(index) { side = firstSet..<donors.count }
        }
        return room(for: block, among: side, other) ?? room(for: block, among: donors.indices, other)
    }

    private mutating func room(for block: Int, among side: Range<Int>, _ other: DonorFate?) -> Place? {
        for turn in 0..<side.count {
            let donor = side.lowerBound + (block + turn) % side.count
            if let other, other.isShared(with: donors[donor].fate) { continue }
            if let slot = donors[donor].take(for: block) { return .donor(donor, slot: slot) }
        }
        return nil
    }

    mutating func giveBack(_ place: Place) {
        guard case .donor(let donor, let slot) = place else { return }
        donors[donor].giveBack(slot)
        roomsGivenBack += 1
    }
}
