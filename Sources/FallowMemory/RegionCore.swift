internal import FallowClient
internal import FallowTransport
internal import Glibc

/// What a region does under its lock: it asks the map, moves the bytes, and reports to the map.
final class RegionCore {
    struct Copying {
        var job: Reprotection
        var buffer: UnsafeMutableRawBufferPointer
        var isRead = false
    }
    /// Pieces of one transfer that are under way at once, for each donor.
    private static let piecesPerDonor = 32
    private static let mostCopies = 4
    static let copyToken: UInt64 = 1 << 63
    /// Whoever waits looks at least every 50 ms.
    private static let gapNanoseconds: Int64 = 500_000_000

    let sizeBytes: Int
    let stripeBytes: Int
    let patienceNanoseconds: Int64
    var map: RegionMap
    let donors: [DonorLink]
    let scratch: ScratchFile?
    var statistics = RegionStatistics()
    var isClosed = false
    /// Threads that wait, and so drive.
    var waiters = 0

    var pieces: [Piece?] = []
    private var freePieces: [Int] = []
    /// Pieces whose block somebody has.
    private var blocked: [Int] = []
    /// Transfers with pieces that were not begun.
    private var transfers: [Transfer] = []
    var copies: [Int: Copying] = [:]
    private var nextCopy = 0
    /// When `look` was called last, and since when without a gap.
    private var lastLook: Int64 = 0
    private var lookingSince: Int64 = 0
    private var mostPieces: Int { max(1, donors.count) * Self.piecesPerDonor }

    init(
        sizeBytes: Int, stripeBytes: Int, patience: Duration, map: RegionMap, donors: [DonorLink], scratch: ScratchFile?
    ) {
        self.sizeBytes = sizeBytes
        self.stripeBytes = stripeBytes
        let parts = patience.components
        patienceNanoseconds = Int64(parts.seconds) * 1_000_000_000 + Int64(parts.attoseconds / 1_000_000_000)
        self.map = map
        self.donors = donors
        self.scratch = scratch
        statistics.donors = donors.count
    }

    func blockBytes(_ block: Int) -> Int { min(stripeBytes, sizeBytes - block * stripeBytes) }

    // MARK: Transfers

    func submit(_ transfer: Transfer) {
        guard begin(transfer) else {
            transfers.append(transfer)
            return
        }
    }

    /// Begins as many pieces as may be under way. - Returns: whether there are no more.
    private func begin(_ transfer: Transfer) -> Bool {
        while transfer.hasMore {
            guard pieces.count - freePieces.count < mostPieces else { return false }
            guard let piece = transfer.next() else { break }
            transfer.open += 1
            let index = freePieces.popLast() ?? pieces.count
            if index == pieces.count { pieces.append(piece) } else { pieces[index] = piece }
            start(index)
        }
        return true
    }

    /// Begins a piece, or begins it again.
    func start(_ index: Int) {
        guard var piece = pieces[index] else { return }
        piece.attempts += 1
        pieces[index] = piece
        if isClosed { return fail(index, FallowError(.leaseEnded, "the region was closed")) }
        piece.transfer.isRead ? read(index, piece) : write(index, piece)
    }

    func wait(_ index: Int) { blocked.append(index) }

    func finish(_ index: Int) {
        guard let piece = pieces[index] else { return }
        piece.filled?.deallocate()
        piece.transfer.open -= 1
        pieces[index] = nil
        freePieces.append(index)
    }

    func fail(_ index: Int, _ error: FallowError) {
        pieces[index]?.transfer.fail(error)
        finish(index)
    }

    // MARK: Progress

    /// Takes in what completed and begins what can be begun. Never blocks.
    /// - Returns: whether anything happened.
    @discardableResult func progress() -> Bool {
        var hasMoved = false
        for donor in donors.indices {
            while let completion = donors[donor].poll() {
                hasMoved = true
                if completion.error != nil { lose(donor) }
                completed(completion.token, donor: donor, isGood: completion.error == nil)
            }
        }
        if hasMoved || !blocked.isEmpty { retry() }
        while copies.count < Self.mostCopies, !isClosed, let job = map.nextProtection() { copy(job) }
        return hasMoved
    }

    /// What else is to be looked at now and then: leases that ended, donors that say nothing.
    func look(now: Int64) {
        // After a gap nothing is known of who was silent in it: this process was stopped, or nobody waited.
        if now - lastLook > Self.gapNanoseconds { lookingSince = now }
        lastLook = now
        for (index, donor) in donors.enumerated() where !map.isGone(index) {
            let isSilent = donor.inFlight > 0 && now - max(donor.lastNanoseconds, lookingSince) > patienceNanoseconds
            if donor.isOver || isSilent || donor.grant.isOver() { lose(index) }
        }
        retry()
    }

    private func retry() {
        let waiting = blocked
        blocked = []
        for index in waiting { start(index) }
        transfers.removeAll { begin($0) }
    }

    /// A donor is gone: it is expelled before anything else is reported or acknowledged.
    func lose(_ donor: Int) {
        guard !map.isGone(donor) else { return }
        map.donorLost(donor)
        statistics.lostDonors += 1
        let link = donors[donor]
        let waiting = link.backlog
        link.backlog = []
        link.close()
        for post in waiting { completed(post.token, donor: donor, isGood: false) }
        while let completion = link.poll() {
            completed(completion.token, donor: donor, isGood: completion.error == nil)
        }
        link.grant.release()
    }

    /// Ends everything; nobody's buffer is touched any more.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for donor in donors.indices { lose(donor) }
        retry()
    }

    // MARK: Protecting anew

    func copy(_ job: Reprotection) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: blockBytes(job.block), alignment: 4096)
        let number = nextCopy
        nextCopy += 1
        copies[number] = Copying(job: job, buffer: buffer)
        move(isRead: true, buffer, job.from, job.block, within: 0, token: Self.copyToken | UInt64(number))
    }

    func copied(_ number: Int, isGood: Bool) {
        guard var copying = copies[number] else { return }
        let job = copying.job
        if isGood, !copying.isRead, map.mayBelieve(job.block, readFrom: job.from) {
            copying.isRead = true
            copies[number] = copying
            move(
                isRead: false, copying.buffer, job.to, job.block, within: 0, token: Self.copyToken | UInt64(number))
            return
        }
        copies[number] = nil
        copying.buffer.deallocate()
        let isWritten = copying.isRead && isGood
        if map.finishProtection(job, isRead: copying.isRead, isWritten: isWritten), isWritten {
            statistics.protectedBlocks += 1
        }
    }
}
