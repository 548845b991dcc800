internal import CLinux
internal import Glibc
internal import Synchronization

/// A donor's control page as a borrower on the same node sees it: one load tells whether the lease is over.
///
/// Only who cuts the file below its control page, which a borrower can do to its own lease alone, makes a look here fault.
public final class DonorControlPage: Sendable {
    private nonisolated(unsafe) let page: UnsafeMutableRawPointer

    /// Maps the page. The descriptor stays the caller's, who may close it. A forked child does not have the mapping.
    public init(of descriptor: CInt, capacityBytes: Int) throws(ShmArenaError) {
        try DonorMemoryCheck.check(descriptor, capacityBytes: capacityBytes)
        var code: CInt = 0
        guard let page = clinux_memory_map(descriptor, 0, DonorMemoryLayout.controlBytes, 0, &code) else {
            throw ShmArenaError("cannot map a donor's control page", code: code)
        }
        self.page = page
    }

    deinit { munmap(page, DonorMemoryLayout.controlBytes) }

    /// Why the lease is over, as its agent's number says; nil while it is not. One load.
    public var endedReason: UInt32? {
        let word = (page + DonorMemoryLayout.endedOffset).assumingMemoryBound(to: Atomic<UInt32>.self)
        let reason = word.pointee.load(ordering: .acquiring)
        return reason == 0 ? nil : reason
    }

    /// The *reclaimed* word, for who looks at it where no Swift may run; valid as long as this object lives.
    public var reclaimedWord: UnsafePointer<UInt32> {
        UnsafePointer((page + DonorMemoryLayout.reclaimedOffset).assumingMemoryBound(to: UInt32.self))
    }
}
