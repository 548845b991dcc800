extension RegionMap {
    public enum WriteAnswer: Hashable, Sendable {
        /// Write to these places and report each by `finishWrite`. With `fillsBlock` the block has nothing yet: the whole of it
        /// is to be written, zeros where the caller has no bytes.
        case go(Place, Place?, fillsBlock: Bool)
        /// The block lacks a copy: carry this out first, then ask again.
        case protectFirst(Reprotection)
        /// Somebody has the block; ask again after the next report.
        case busy
        /// A part of a block that is lost cannot be written: the rest of it is gone.
        case lost
        /// There is no room for as many copies as the protection asks.
        case noRoom
    }

    /// Begins a write of a block, which is the writer's until the last report.
    /// - Parameter isWhole: whether all of the block's bytes are written.
    public mutating func beginWrite(_ block: Int, isWhole: Bool) -> WriteAnswer {
        guard blocks[block].holder == .nobody else { return .busy }
        switch blocks[block].content {
        case .lost where !isWhole: return .lost
        case .held where !isWhole && !isProtected(block):
            guard let job = protect(block) else { return .noRoom }
            return .protectFirst(job)
        case .held, .lost, .untouched: break
        }
        guard complete(block, isWhole: isWhole), let first = blocks[block].first else { return .noRoom }
        let second = blocks[block].second
        blocks[block].holder = .write
        blocks[block].pending = second == nil ? 1 : 2
        return .go(first, second, fillsBlock: blocks[block].content != .held && !isWhole)
    }

    /// Gives a block as many places as it is to have, as far as all of it is going to be written.
    private mutating func complete(_ block: Int, isWhole: Bool) -> Bool {
        guard isWhole || blocks[block].content == .untouched else { return true }
        let before = (blocks[block].first, blocks[block].second)
        switch protection {
        case .none: if blocks[block].count == 0, let place = room(for: block) { blocks[block].add(place) }
        case .pair:
            while blocks[block].count < 2, let place = room(for: block) { blocks[block].add(place) }
        case .scratch:
            if !blocks[block].contains(.scratch) { blocks[block].add(.scratch) }
            if blocks[block].count < 2, let place = room(for: block) { blocks[block].add(place) }
        }
        if isProtected(block) { return true }
        // What was taken for nothing goes back.
        for place in [blocks[block].first, blocks[block].second] {
            guard let place, place != before.0, place != before.1 else { continue }
            blocks[block].remove(place)
            giveBack(place)
        }
        return false
    }

    public enum WriteOutcome: Hashable, Sendable {
        /// Every copy holds it, and they are enough.
        case acknowledged
        /// It is held, but by fewer copies than it takes: begin the write again.
        case again
        /// No copy holds it; the block is lost.
        case lost
    }

    /// Reports what became of a write at one of its places.
    /// - Returns: what became of it as a whole, when this was the last report.
    public mutating func finishWrite(_ block: Int, at place: Place, isGood: Bool) -> WriteOutcome? {
        if !isGood, blocks[block].contains(place) {
            blocks[block].remove(place)
            giveBack(place)
        }
        blocks[block].pending -= 1
        guard blocks[block].pending == 0 else { return nil }
        blocks[block].holder = .nobody
        guard blocks[block].count > 0 else {
            lose(block)
            return .lost
        }
        if blocks[block].content == .lost { lostBlocks -= 1 }
        blocks[block].content = .held
        list(block)
        return isProtected(block) ? .acknowledged : .again
    }

    /// Whether a copy is missing that should be there when there is room.
    func lacks(_ block: Int) -> Bool { protection == .none ? false : blocks[block].count < 2 }
}
