internal import CLinux
internal import Glibc

/// The memory that one donor lends, as its owner has it: the agent, who made the file and takes it back.
///
/// The agent passes copies of the descriptor to the donor, which has the pages charged to its cgroup, and to a client on the
/// same node, which reads and writes by `pread` and `pwrite`. Either may be hostile, and nothing keeps them from making the
/// file shorter; so the agent never maps it, and no word of it can make the agent fault.
///
/// **How the memory is taken back.** The file cannot grow (F_SEAL_GROW) but shrink. On revoke, with the donor dead, the agent
/// stores `ended` and `reclaimed` and then cuts the file down to its control page. The pages are free at once, whoever holds
/// the descriptor; a read behind the end gives nothing and a write EPERM, for ever. So no access succeeds afterwards, and
/// nobody can take zeros for data.
public final class DonorMemory: Sendable {
    /// Bytes that are lent.
    public let capacityBytes: Int
    /// The memory file, to be passed on; stays this object's, which closes it.
    public let descriptor: CInt

    /// Makes the memory file of a new donor: sparse, nothing of it is used before it is touched. For the agent; never blocks.
    /// - Parameter capacityBytes: a multiple of the page, 4096 bytes.
    /// - Throws: `ShmArenaError` when the capacity is out of bounds or the system refuses the file.
    public init(capacityBytes: Int) throws(ShmArenaError) {
        if let complaint = DonorMemoryLayout.complaint(capacityBytes: capacityBytes) { throw ShmArenaError(complaint) }
        let total = DonorMemoryLayout.totalBytes(capacityBytes: capacityBytes)
        let made = clinux_memfd_create("fallow-donor", UInt64(total))
        guard made >= 0 else { throw ShmArenaError("cannot make a memory file of \(total) bytes", code: -made) }
        descriptor = made
        self.capacityBytes = capacityBytes
        var code = -clinux_memfd_seal_growth(made)
        if code == 0 {
            let header = DonorMemoryHeader(capacityBytes: capacityBytes)
            code = withUnsafeBytes(of: header) { pwrite(made, $0.baseAddress, $0.count, 0) == $0.count ? 0 : errno }
        }
        // On a failure deinit closes the file.
        if code != 0 { throw ShmArenaError("cannot prepare a donor's memory file", code: code) }
    }

    /// Takes over a memory file that was received, without mapping anything: for a donor, which takes the memory back itself
    /// when its agent is gone.
    /// - Throws: `ShmArenaError` as `DonorMapping`; the descriptor is closed then.
    public init(adopting descriptor: CInt, capacityBytes: Int) throws(ShmArenaError) {
        self.descriptor = descriptor
        self.capacityBytes = capacityBytes
        try DonorMemoryCheck.check(descriptor, capacityBytes: capacityBytes)
    }

    deinit { Glibc.close(descriptor) }

    /// Says that the lease is over: every access fails from now on. The first reason stays. Never blocks.
    /// - Parameter reason: a number that tells why; 0 counts as 1.
    public func markEnded(_ reason: UInt32) {
        if endedReason == nil { store(max(reason, 1), at: DonorMemoryLayout.endedOffset) }
    }

    /// Why the lease is over; nil while it is not. What a hostile peer wrote looks the same.
    public var endedReason: UInt32? {
        var reason: UInt32 = 0
        let count = pread(descriptor, &reason, 4, off_t(DonorMemoryLayout.endedOffset))
        // A file without a control page is one that a peer has cut: over it is.
        return count != 4 ? 1 : reason == 0 ? nil : reason
    }

    /// Frees the memory, whoever still holds the file. On revoke, after the donor is dead (it has the memory mapped).
    ///
    /// Marks the lease ended when nobody did. Blocks for about 0.1 s a GiB in use, less with huge pages.
    public func reclaim() throws(ShmArenaError) {
        markEnded(1)
        store(1, at: DonorMemoryLayout.reclaimedOffset)
        // A peer may have made it shorter still, and then there is nothing to take.
        guard clinux_memfd_size(descriptor) > Int64(DonorMemoryLayout.controlBytes) else { return }
        let code = clinux_memfd_truncate(descriptor, UInt64(DonorMemoryLayout.controlBytes))
        if code < 0 { throw ShmArenaError("cannot take a donor's \(capacityBytes) bytes back", code: -code) }
    }

    /// Bytes of memory that the file holds just now, as the kernel counts them; at most the control page once reclaimed.
    public var residentBytes: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }

    private func store(_ word: UInt32, at offset: Int) {
        // EPERM: a peer has cut the control page off, and with it the memory; nothing is left to be marked.
        _ = withUnsafeBytes(of: word) { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    }
}
