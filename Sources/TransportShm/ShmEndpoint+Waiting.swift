internal import CLinux
internal import FallowModel
public import FallowTransport
internal import Glibc
internal import Synchronization

extension ShmArena {
    /// Takes one side of a worker's connection. Each side of each worker can be taken once.
    ///
    /// - Parameter firstSequence: the number of the first message both ways; both sides must say the same. Other than 0
    ///   only to test what happens at 2^32.
    /// - Throws: `refused` when the side was taken before.
    public func endpoint(
        worker: Int, side: ShmSide, firstSequence: UInt32 = 0
    ) throws(TransportError) -> ShmEndpoint {
        try ShmEndpoint(attachingTo: self, worker: worker, side: side, firstSequence: firstSequence)
    }
}

/// Waiting, watching and leaving: everything that may cost a system call.
extension ShmEndpoint {
    private var hasArrival: Bool {
        nextDoorbell.pointee.load(ordering: .sequentiallyConsistent) == Self.ring(nextReceived)
    }

    /// Whether the lease ended, or the peer closed or died. Asks the kernel at most every `ShmPresence.interval`.
    private mutating func isLost(now: UInt64) -> Bool {
        if !isOpen || ended.pointee.load(ordering: .sequentiallyConsistent) != 0
            || peerLine.closed.pointee.load(ordering: .sequentiallyConsistent) != 0
        {
            return true
        }
        guard now >= nextLookNanoseconds else { return false }
        nextLookNanoseconds = now + ShmPresence.intervalNanoseconds
        let token = peerLine.token.pointee.load(ordering: .acquiring)
        // Not there yet, or another thread of this process: the agent, or that thread, says when it ends.
        if token == 0 || token == ShmPresence.processToken { return false }
        return !presence.isHeldElsewhere(side.other)
    }

    /// The poll that, once in a while, also looks whether the peer is still there.
    @usableFromInline mutating func pollWithLook() throws(TransportError) -> Arrival? {
        let lost = isLost(now: ShmPresence.nowNanoseconds())
        // A message that the peer sent before it went still counts.
        if hasArrival { return try receive() }
        if lost { throw .peerLost }
        return nil
    }

    /// Wakes the sleeping peer. A peer that only pretends to sleep makes this cost a system call, no more.
    @usableFromInline func wakePeer() {
        peerSleeping.pointee.store(0, ordering: .sequentiallyConsistent)
        _ = clinux_futex_wake(peerSleeping, 1)
    }

    public mutating func sleep(atMost timeout: Duration) throws(TransportError) -> Bool {
        let sleeping = ownLine.sleeping
        let deadline = ShmPresence.nowNanoseconds() + UInt64(max(timeout.nanoseconds, 0))
        var wokenForNothing = 0
        while true {
            sleeping.pointee.store(1, ordering: .sequentiallyConsistent)
            let now = ShmPresence.nowNanoseconds()
            let lost = isLost(now: now)
            if hasArrival || lost {
                sleeping.pointee.store(0, ordering: .relaxed)
                if hasArrival { return true }
                throw .peerLost
            }
            if now >= deadline {
                sleeping.pointee.store(0, ordering: .relaxed)
                return false
            }
            let slice = Int64(min(deadline - now, ShmPresence.intervalNanoseconds))
            let code = clinux_futex_wait(sleeping, 1, slice)
            sleeping.pointee.store(0, ordering: .relaxed)
            if code == ETIMEDOUT { continue }
            // A peer that keeps poking at the word must not turn this sleep into a busy loop.
            wokenForNothing += hasArrival ? 0 : 1
            if wokenForNothing > 16 { usleep(useconds_t(min(slice / 1000, 1000))) }
        }
    }

    public static var sleepsOnWord: Bool { true }

    public mutating func beginSleep() throws(TransportError) -> UnsafeRawPointer? {
        ownLine.sleeping.pointee.store(1, ordering: .sequentiallyConsistent)
        let lost = isLost(now: ShmPresence.nowNanoseconds())
        if !hasArrival && !lost { return UnsafeRawPointer(ownLine.sleeping) }
        ownLine.sleeping.pointee.store(0, ordering: .relaxed)
        if hasArrival { return nil }
        throw .peerLost
    }

    public mutating func endSleep() { ownLine.sleeping.pointee.store(0, ordering: .relaxed) }

    public func wakeOwnSleepers() {
        ownLine.sleeping.pointee.store(0, ordering: .sequentiallyConsistent)
        _ = clinux_futex_wake(ownLine.sleeping, CInt.max)
    }

    public func isPeerSettled() -> Bool {
        let token = peerLine.token.pointee.load(ordering: .acquiring)
        let isGone =
            peerLine.closed.pointee.load(ordering: .sequentiallyConsistent) != 0
            || (token != 0 && token != ShmPresence.processToken && !presence.isHeldElsewhere(side.other))
        return isGone && reclaimed.pointee.load(ordering: .sequentiallyConsistent) == 0
    }

    public mutating func close() {
        guard isOpen else { return }
        isOpen = false
        Self.leave(ownLine, peerLine, presence, side)
    }

    static func leave(_ own: ShmLine, _ peer: ShmLine, _ presence: ShmPresence, _ side: ShmSide) {
        own.closed.pointee.store(1, ordering: .sequentiallyConsistent)
        peer.sleeping.pointee.store(0, ordering: .sequentiallyConsistent)
        _ = clinux_futex_wake(peer.sleeping, CInt.max)
        presence.release(side)
    }
}
