public import FallowClient
internal import Glibc
internal import Synchronization

/// Remote memory of this process: bytes that lie at donors, and are put and got.
///
/// Blocks of `stripeBytes` take turns at all donors, so large transfers use them all at once. What was never written reads as
/// zeros; what was lost with its donors is an error, `.dataLost`, until it is written again, and never zeros. Thread-safe.
/// Transfers that overlap in time and place happen in some order, block by block. Not usable in a child after `fork`.
///
/// Every wait has a bound: a donor that completes nothing for `RegionOptions.patience` is given up, and what was lost with
/// it is said. A region of pairs has a thread of its own, which sleeps while all is well and copies anew what a lost donor
/// held.
public final class Region: Sendable {
    public let sizeBytes: Int
    public let durability: Durability
    let lock = Mutex<Void>(())
    /// Used with the lock held.
    nonisolated(unsafe) let core: RegionCore
    private let guardian: Guardian?

    /// Connects to the donors. Blocks for as long as that takes, `timeout` at most for each.
    /// - Parameters:
    ///   - sizeBytes: how much can be put and got.
    ///   - options: durability, stripe, and how long a silent donor is waited for.
    ///   - grants: the donors; of pairs one copy lies at one of the first `firstSet`, the other at one of the rest.
    ///   - firstSet: nil is half of them. With `durable` and a second set the region is one of pairs, without one of scratch.
    ///   - timeout: for each donor's connection.
    /// - Throws: `.invalid` for a size that is zero or beyond the address space, or options that make no sense; `.noCapacity`
    ///   when the donors are too few for the size and durability; `.internalError` when one cannot be reached.
    public init(
        sizeBytes: Int, _ options: RegionOptions = RegionOptions(), donors grants: [DonorGrant],
        firstSet: Int? = nil, timeout: Duration = .seconds(5)
    ) throws(FallowError) {
        ForkGuard.arm()
        try options.check(sizeBytes: sizeBytes)
        let durability = options.durability.settled(hasSecondSet: firstSet.map { $0 < grants.count } ?? false)
        let stripe = options.stripeBytes
        let blocks = (sizeBytes + stripe - 1) / stripe
        let rooms = grants.map { (blocks: $0.capacityBytes / stripe, fate: $0.fate) }
        let copies = durability == .pair ? 2 : 1
        guard rooms.reduce(0, { $0 + $1.blocks }) >= blocks * copies else {
            throw FallowError(
                .noCapacity,
                "\(grants.count) donors of \(grants.reduce(0) { $0 + $1.capacityBytes }) bytes in all cannot hold \(copies) copies of \(sizeBytes) bytes"
            )
        }
        var scratch: ScratchFile?
        if case .scratch(let folder) = durability {
            scratch = try ScratchFile(folder: folder, bytes: sizeBytes)
        }
        var links: [DonorLink] = []
        for grant in grants { links.append(try DonorLink.open(grant, timeout: timeout)) }
        self.sizeBytes = sizeBytes
        self.durability = durability
        core = RegionCore(
            sizeBytes: sizeBytes, stripeBytes: stripe, patience: options.patience ?? durability.patience,
            map: RegionMap(
                blockCount: blocks, protection: durability.protection, donors: rooms, firstSet: firstSet),
            donors: links, scratch: scratch)
        guardian = durability == .pair ? Guardian() : nil
        guardian?.watch(self)
    }

    deinit { shut() }

    /// Gives the donors back; what is under way ends with `.leaseEnded`. Idempotent.
    public func close() { shut() }

    private func shut() {
        guardian?.stop()
        lock.withLock { _ in core.close() }
    }

    public var statistics: RegionStatistics {
        lock.withLock { _ in
            var told = core.statistics
            told.lostBytes = core.map.lostBlocks * core.stripeBytes
            told.unprotectedBytes =
                core.map.protection == .pair ? (core.map.lackingCount + core.copies.count) * core.stripeBytes : 0
            return told
        }
    }

    // MARK: Put and get

    /// Writes bytes and waits until they are where the durability wants them.
    /// - Throws: `.invalid` beyond the region; `.dataLost` when the rest of a block that is written in part was lost, or every
    ///   copy went while it was written; `.noCapacity` when too few donors are left; `.leaseEnded` after `close`.
    public func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FallowError) {
        try begin(isRead: false, [(offset, UnsafeMutableRawBufferPointer(mutating: bytes))]).wait()
    }

    /// Reads bytes and waits for them.
    /// - Throws: as `put`; `.dataLost` when any of them was lost. The buffer's content is of no meaning then.
    public func get(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FallowError) {
        try ForkGuard.check()
        try check(offset, buffer.count)
        if lock.withLock({ _ in core.readNow(buffer, at: offset) }) { return }
        try begin(isRead: true, [(offset, buffer)]).wait()
    }

    /// Begins to write pieces, each at its own offset. Their memory has to stay as it is until the future is done.
    public func submitPut(
        _ pieces: [(offset: Int, bytes: UnsafeRawBufferPointer)]
    ) throws(FallowError) -> RegionFuture {
        try begin(isRead: false, pieces.map { ($0.offset, UnsafeMutableRawBufferPointer(mutating: $0.bytes)) })
    }

    /// Begins to read pieces. Their memory has to stay until the future is done.
    public func submitGet(
        _ pieces: [(offset: Int, buffer: UnsafeMutableRawBufferPointer)]
    ) throws(FallowError) -> RegionFuture {
        try begin(isRead: true, pieces.map { ($0.offset, $0.buffer) })
    }

    private func begin(
        isRead: Bool, _ pieces: [(offset: Int, buffer: UnsafeMutableRawBufferPointer)]
    ) throws(FallowError) -> RegionFuture {
        try ForkGuard.check()
        var bytes = 0
        for piece in pieces {
            try check(piece.offset, piece.buffer.count)
            bytes += piece.buffer.count
        }
        let transfer = Transfer(
            isRead: isRead, extents: pieces.map { Transfer.Extent(offset: $0.offset, buffer: $0.buffer) },
            stripeBytes: core.stripeBytes)
        nonisolated(unsafe) let begun = transfer
        lock.withLock { _ in
            core.count(isRead: isRead, bytes)
            core.submit(begun)
        }
        return RegionFuture(begun, of: self)
    }

    private func check(_ offset: Int, _ count: Int) throws(FallowError) {
        guard offset >= 0, count <= sizeBytes, offset <= sizeBytes - count else {
            throw FallowError(
                .invalid, "\(count) bytes at \(offset) are not within the region, which has \(sizeBytes) bytes")
        }
    }
}

extension RegionOptions {
    func check(sizeBytes: Int) throws(FallowError) {
        guard sizeBytes > 0, sizeBytes <= 1 << 46 else {
            throw FallowError(.invalid, "a region has 1 byte to 64 TiB, not \(sizeBytes) bytes")
        }
        guard (4096...(2 << 20)).contains(stripeBytes), stripeBytes & (stripeBytes - 1) == 0 else {
            throw FallowError(.invalid, "a stripe is a power of two from 4096 to 2097152 bytes, not \(stripeBytes)")
        }
        guard patience.map({ $0 > .zero }) ?? true else {
            throw FallowError(.invalid, "patience with a donor must be more than nothing")
        }
    }
}

extension Durability {
    fileprivate var protection: RegionMap.Protection {
        switch self {
        case .cache: .none
        case .pair: .pair
        case .scratch, .durable: .scratch
        }
    }

    /// What `durable` becomes.
    fileprivate func settled(hasSecondSet: Bool) -> Durability {
        guard case .durable(let folder) = self else { return self }
        return hasSecondSet ? .pair : .scratch(folder: folder)
    }
}

extension RegionCore {
    func count(isRead: Bool, _ bytes: Int) {
        if isRead {
            statistics.reads += 1
            statistics.readBytes += bytes
        } else {
            statistics.writes += 1
            statistics.writtenBytes += bytes
        }
    }

    /// Reads what lies in one block at a donor on this node, without more ado.
    /// - Returns: false when it is to be read the other way.
    func readNow(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Bool {
        let block = offset / stripeBytes
        let within = offset & (stripeBytes - 1)
        guard buffer.count > 0, within + buffer.count <= stripeBytes, !isClosed,
            case .from(.donor(let donor, let slot)) = map.read(block)
        else { return false }
        let link = donors[donor]
        guard link.isImmediate, link.inFlight == 0,
            link.post(
                DonorLink.Post(isRead: true, buffer: buffer, offset: slot * stripeBytes + within, token: 0)),
            let completion = link.poll()
        else { return false }
        guard completion.error == nil else {
            lose(donor)
            return false
        }
        count(isRead: true, buffer.count)
        return true
    }
}
