public import FallowClient
internal import FallowModel
internal import Glibc

/// A put or get under way. Its buffers are used until it is done: letting go of one that is not waits for it, which has a
/// bound as every wait has.
public final class RegionFuture: Sendable {
    nonisolated(unsafe) private let transfer: Transfer
    private let region: Region
    private static let pollNanoseconds: Int64 = 50_000

    init(_ transfer: Transfer, of region: Region) {
        self.transfer = transfer
        self.region = region
    }

    deinit { _ = settle(until: .max) }

    /// Whether the outcome is known; looks for news.
    public var isDone: Bool { settle(until: 0) }

    /// Waits for the outcome.
    /// - Parameter timeout: nil: until it is known.
    /// - Throws: `.timedOut` when it is not known yet: wait again. Else what became of it, see `Region`.
    public func wait(timeout: Duration? = nil) throws(FallowError) {
        try ForkGuard.check()
        let end =
            timeout.map { timeout in
                let (sum, overflow) = nowNanoseconds().addingReportingOverflow(max(0, timeout.nanoseconds))
                return overflow ? .max : sum
            } ?? .max
        guard settle(until: end) else { throw FallowError(.timedOut, "the transfer is not done yet") }
        if let error = transfer.error { throw error }
    }

    /// Polls for 50 µs, and then sleeps between looks.
    private func settle(until end: Int64) -> Bool {
        guard (try? ForkGuard.check()) != nil else { return true }
        if region.drive(transfer, sleeping: nil) { return true }
        let start = nowNanoseconds()
        while true {
            let now = nowNanoseconds()
            guard now < end else { return false }
            if now - start < Self.pollNanoseconds {
                if region.drive(transfer, sleeping: nil) { return true }
            } else {
                if region.drive(transfer, sleeping: min(end - now, 50_000_000)) { return true }
            }
        }
    }
}

extension Region {
    /// Takes in what came, and then sleeps when that is wished for.
    /// - Returns: whether the transfer is done.
    fileprivate func drive(_ transfer: Transfer, sleeping nanoseconds: Int64?) -> Bool {
        var descriptors: [Int32] = []
        nonisolated(unsafe) let asked = transfer
        let (isDone, maySleep) = lock.withLock { _ -> (Bool, Bool) in
            // What came with another's reply costs no look at the connections.
            if asked.isDone { return (true, false) }
            core.progress()
            guard !asked.isDone, nanoseconds != nil else { return (asked.isDone, false) }
            core.look(now: nowNanoseconds())
            var maySleep = !asked.isDone
            for (index, donor) in core.donors.enumerated() where maySleep && !core.map.isGone(index) {
                maySleep = donor.beginSleep(&descriptors)
            }
            if maySleep { core.waiters += 1 }
            return (asked.isDone, maySleep)
        }
        guard maySleep, let nanoseconds else { return isDone }
        // Another thread may take in what this one waits for: then the sleep is short.
        let isAlone = lock.withLock { _ in core.waiters == 1 }
        let milliseconds = CInt(max(1, nanoseconds / 1_000_000))
        var watched = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        _ = Glibc.poll(&watched, nfds_t(watched.count), isAlone ? milliseconds : 1)
        lock.withLock { _ in core.waiters -= 1 }
        return false
    }

    /// For the region's thread: what there is to do when nobody waits.
    func tend() {
        lock.withLock { _ in
            guard core.waiters == 0, !core.isClosed else { return }
            core.progress()
            core.look(now: nowNanoseconds())
            // Copies that are being made are not left lying for the next look.
            let end = nowNanoseconds() + 2_000_000
            while !core.copies.isEmpty, nowNanoseconds() < end { core.progress() }
        }
    }

    /// Whether copies are being made.
    var isProtecting: Bool { lock.withLock { _ in !core.copies.isEmpty } }
}
