internal import FallowClient

/// A put or get under way: pieces of blocks, begun a few at a time. Used under its region's lock.
final class Transfer {
    struct Extent {
        var offset: Int
        var buffer: UnsafeMutableRawBufferPointer
    }
    let isRead: Bool
    private let extents: [Extent]
    private let stripeBytes: Int
    private var extent = 0
    private var done = 0
    /// Pieces begun and not over.
    var open = 0
    /// The first thing that went wrong.
    private(set) var error: FallowError?

    init(isRead: Bool, extents: [Extent], stripeBytes: Int) {
        self.isRead = isRead
        self.extents = extents
        self.stripeBytes = stripeBytes
    }

    var hasMore: Bool { extent < extents.count && error == nil }
    var isDone: Bool { open == 0 && !hasMore }

    /// The next piece: within one block.
    func next() -> Piece? {
        while extent < extents.count, done == extents[extent].buffer.count {
            extent += 1
            done = 0
        }
        guard hasMore else { return nil }
        let offset = extents[extent].offset + done
        let within = offset & (stripeBytes - 1)
        let count = min(stripeBytes - within, extents[extent].buffer.count - done)
        defer { done += count }
        return Piece(
            transfer: self, block: offset / stripeBytes, within: within,
            buffer: UnsafeMutableRawBufferPointer(rebasing: extents[extent].buffer[done..<done + count]))
    }

    func fail(_ error: FallowError) { if self.error == nil { self.error = error } }
}

/// The part of a transfer that lies in one block.
struct Piece {
    var transfer: Transfer
    var block: Int
    var within: Int
    var buffer: UnsafeMutableRawBufferPointer
    /// Where it is read from, or written to.
    var first: RegionMap.Place?
    var second: RegionMap.Place?
    /// The whole block, where there was nothing before and the piece is a part of it.
    var filled: UnsafeMutableRawBufferPointer?
    var attempts = 0
}
