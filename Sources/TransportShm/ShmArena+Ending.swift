internal import CLinux
internal import Glibc
internal import Synchronization

extension ShmArena {
    private var ended: UnsafeMutablePointer<Atomic<UInt32>> {
        (base + ShmLayout.endedOffset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Says that the lease is over, and wakes whoever sleeps on either side; both sides see `peerLost`.
    ///
    /// The first reason stays. Never blocks. For the agent.
    /// - Parameter reason: a number that tells client and executor why; 0 counts as 1.
    public func markEnded(_ reason: UInt32) {
        _ = ended.pointee.compareExchange(
            expected: 0, desired: max(reason, 1), ordering: .sequentiallyConsistent)
        for worker in 0..<workers {
            for side in [ShmSide.client, .executor] {
                let sleeping = ShmLine(address: base + layout.lineOffset(worker: worker, side: side)).sleeping
                sleeping.pointee.store(0, ordering: .sequentiallyConsistent)
                _ = clinux_futex_wake(sleeping, CInt.max)
            }
        }
    }

    /// Why the lease is over; nil while it is not. What a hostile peer wrote looks the same.
    public var endedReason: UInt32? {
        let reason = ended.pointee.load(ordering: .acquiring)
        return reason == 0 ? nil : reason
    }

    /// Whether the slots' and buffers' memory may have been emptied. Who asks after reading knows whether it read zeros for data.
    public var isReclaimed: Bool {
        atomicMemoryFence(ordering: .acquiring)
        return (base + ShmLayout.reclaimedOffset).assumingMemoryBound(to: Atomic<UInt32>.self).pointee
            .load(ordering: .acquiring) != 0
    }

    /// Frees the memory of all slots and buffers, whoever still maps them. For the agent, on revoke, after the executor is dead.
    ///
    /// Marks the lease ended when nobody did. Blocks for about 0.1 s a GiB in use.
    public func reclaim() throws(ShmArenaError) {
        markEnded(1)
        (base + ShmLayout.reclaimedOffset).assumingMemoryBound(to: Atomic<UInt32>.self).pointee
            .store(1, ordering: .sequentiallyConsistent)
        let slotBytes = layout.totalBytes - layout.controlBytes
        let code = clinux_arena_punch(descriptor, Int64(layout.controlBytes), Int64(slotBytes))
        if code != 0 { throw ShmArenaError("cannot take the arena's \(slotBytes) bytes back", code: code) }
    }

    /// Bytes of memory the arena holds just now, as the kernel counts them.
    public var residentBytes: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }
}
