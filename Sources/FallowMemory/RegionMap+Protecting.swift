/// A copy to be made of a block that lacks one. The block is nobody else's to write meanwhile.
public struct Reprotection: Hashable, Sendable {
    public var block: Int
    public var from: RegionMap.Place
    public var to: RegionMap.Place
}

extension RegionMap {
    /// The next block that lacks a copy and for which there is room; nil when there is none. To be reported by
    /// `finishProtection`.
    public mutating func nextProtection() -> Reprotection? {
        if !aside.isEmpty, roomsGivenBack != roomsGivenBackThen {
            lacking += aside
            aside = []
        }
        while let block = lacking.popLast() {
            let state = blocks[block]
            // Who has it now lists it again when need be.
            let isWanted = state.holder == .nobody && state.content == .held && lacks(block)
            if isWanted, let job = protect(block) {
                blocks[block].isListed = false
                return job
            }
            if isWanted {
                aside.append(block)
                roomsGivenBackThen = roomsGivenBack
            } else {
                blocks[block].isListed = false
            }
        }
        return nil
    }

    /// Takes a block for a copy to be made.
    mutating func protect(_ block: Int) -> Reprotection? {
        guard let from = blocks[block].first else { return nil }
        let to: Place? = protection == .scratch && from != .scratch ? .scratch : room(for: block)
        guard let to else { return nil }
        blocks[block].holder = .protection
        return Reprotection(block: block, from: from, to: to)
    }

    /// Reports what became of a copy.
    /// - Parameters:
    ///   - isRead: the bytes were read from the old copy, and believed then.
    ///   - isWritten: they are at the new place.
    /// - Returns: whether the block still has its bytes; if not, the second loss came before the copy, and the block is lost.
    public mutating func finishProtection(_ job: Reprotection, isRead: Bool, isWritten: Bool) -> Bool {
        blocks[job.block].holder = .nobody
        if isRead && isWritten && isThere(job.to) {
            blocks[job.block].add(job.to)
        } else {
            giveBack(job.to)
        }
        guard blocks[job.block].count > 0 else {
            lose(job.block)
            return false
        }
        list(job.block)
        return true
    }

    private func isThere(_ place: Place) -> Bool {
        if case .donor(let donor, _) = place { !donors[donor].isLost } else { true }
    }

    /// Blocks that lack a copy and that nobody is copying.
    var lackingCount: Int { lacking.count + aside.count }
    /// The copies of a block, for whoever checks.
    public func copies(of block: Int) -> [Place] { [blocks[block].first, blocks[block].second].compactMap(\.self) }
    /// Whether a block's last copy went.
    public func isLost(_ block: Int) -> Bool { blocks[block].content == .lost }
}
