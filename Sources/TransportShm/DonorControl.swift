internal import Glibc
internal import Synchronization

/// A donor's control page as its borrower sees it: one load tells whether the bytes may still be believed.
public final class DonorControl: Sendable {
    private nonisolated(unsafe) let page: UnsafeMutableRawPointer

    /// Maps the control page of a donor's file, for reading. The file may be closed afterwards.
    public init(_ file: borrowing DonorFile) throws(ShmArenaError) {
        let mapping = mmap(nil, LeaseWords.controlPageBytes, PROT_READ, MAP_SHARED, file.descriptor, 0)
        guard let mapping, mapping != MAP_FAILED else {
            throw ShmArenaError("cannot map a donor's control page", code: errno)
        }
        page = mapping
    }

    deinit { munmap(page, LeaseWords.controlPageBytes) }

    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (page + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Why the lease is over (the number of `LeaseEnd.number`); nil while it is not.
    public var endedReason: UInt32? {
        let reason = word(LeaseWords.endedOffset).pointee.load(ordering: .acquiring)
        return reason == 0 ? nil : reason
    }

    /// Whether the bytes may have been taken away. Who asks after reading knows whether what was read is the donor's.
    public var isReclaimed: Bool {
        atomicMemoryFence(ordering: .acquiring)
        return word(LeaseWords.reclaimedOffset).pointee.load(ordering: .acquiring) != 0
    }

    /// The *reclaimed* word itself, for who looks at it where no Swift may run. Valid as long as this object lives.
    public var reclaimedWord: UnsafePointer<UInt32> {
        UnsafePointer((page + LeaseWords.reclaimedOffset).assumingMemoryBound(to: UInt32.self))
    }
}
