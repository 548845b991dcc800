internal import Synchronization

/// Memory that a lease's functions read and write in place: what it holds is not copied on the way to a function on the same
/// node. Freed with this object, at the latest when the calls that use it are over.
///
/// It stays mapped when the lease ends. What it held is gone then, and it reads as zeros: `isIntact` tells.
public final class Buffer: Sendable {
    /// Zeros, or what an earlier buffer of the same lease held. Begins at a whole page.
    public nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer
    private let area: BufferArea

    init(area: BufferArea, byteCount: Int) throws(FallowError) {
        self.area = area
        bytes = try area.allocate(byteCount)
    }

    deinit { if let start = bytes.baseAddress { _ = area.free(start) } }

    /// Whether everything that was read from it until now was what lay there; one load.
    public var isIntact: Bool { area.isIntact }
}

/// The buffers that C programs hold, by their addresses: so that any pointer can be told from a buffer's.
package enum BufferRegistry {
    private static let areas = Mutex<[UInt: BufferArea]>([:])

    /// A buffer of a lease, to be freed with `free`.
    package static func allocate(_ lease: Lease, byteCount: Int) throws(FallowError) -> UnsafeMutableRawPointer {
        try ForkGuard.check()
        let bytes = try lease.bufferArea().allocate(byteCount)
        guard let start = bytes.baseAddress else { throw FallowError(.internalError, "a buffer has no address") }
        areas.withLock { $0[UInt(bitPattern: start)] = lease.buffers }
        return start
    }

    /// - Throws: `.invalid` when no buffer begins there.
    package static func free(_ start: UnsafeRawPointer) throws(FallowError) {
        try ForkGuard.check()
        guard let area = areas.withLock({ $0.removeValue(forKey: UInt(bitPattern: start)) }), area.free(start) else {
            throw noBuffer
        }
    }

    /// - Throws: `.leaseEnded` when what was read from the buffer may have been zeros of memory taken back; `.invalid`.
    package static func check(_ start: UnsafeRawPointer) throws(FallowError) {
        guard let area = areas.withLock({ $0[UInt(bitPattern: start)] }) else { throw noBuffer }
        guard area.isIntact else {
            throw FallowError(.leaseEnded, "the lease ended and its memory was taken back: the buffer reads as zeros")
        }
    }

    private static var noBuffer: FallowError {
        FallowError(.invalid, "no buffer begins at this address (freed before, or from elsewhere)")
    }
}
