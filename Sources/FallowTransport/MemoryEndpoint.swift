/// A read or a write of a donor's memory that is over. Its local buffer is not touched any more.
public struct MemoryCompletion: Hashable, Sendable {
    /// What the operation was posted with.
    public var token: UInt64
    /// nil when the bytes are where they should be; else none of them may be believed.
    public var error: TransportError?

    @inlinable public init(token: UInt64, error: TransportError? = nil) {
        self.token = token
        self.error = error
    }
}

/// A borrower's end of a connection to the memory of one donor. The borrower says where; nothing at the donor
/// decides anything but whether that is within its memory.
///
/// Operations are posted, several at a time, and complete in any order. A completed write is in the donor's memory; a
/// completed read was the donor's memory, and has been confirmed to have been it throughout. When the connection fails, or
/// is closed, everything in flight completes with `peerLost`, and nothing can be posted any more. Until an operation
/// completes its buffer has to stay. Used by one thread at a time; moves between threads whole.
public protocol MemoryEndpoint: ~Copyable, Sendable {
    /// Bytes that the donor lends.
    var capacityBytes: Int { get }
    /// Operations in flight at most, those included whose completions have not been polled.
    var depth: Int { get }
    /// Operations whose completions have not been polled.
    var inFlight: Int { get }
    /// Whether the connection has failed or was closed.
    var isOver: Bool { get }

    /// Reads the donor's memory from `offset` on, as many bytes as the buffer has. Over shared memory the calling thread
    /// copies now; else this does not block.
    /// - Throws: `ringFull`; `oversize` when the range is not within the memory; `peerLost`.
    mutating func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError)
    /// Writes a buffer to the donor's memory from `offset` on. As `read`.
    mutating func write(from buffer: UnsafeRawBufferPointer, at offset: Int, token: UInt64) throws(TransportError)
    /// The next completion, if there is one. Never blocks.
    mutating func poll() -> MemoryCompletion?
    /// Gets ready for sleeping on descriptors until something completes.
    /// - Parameter descriptors: those to be polled for input are appended.
    /// - Returns: false when `poll` has to be called first.
    mutating func beginSleep(_ descriptors: inout [Int32]) -> Bool
    /// Ends the connection. When this returns no buffer is touched any more. Idempotent.
    mutating func close()
}

extension MemoryEndpoint where Self: ~Copyable {
    /// What a range within the memory has to be.
    @inlinable public func check(offset: Int, count: Int) throws(TransportError) {
        guard offset >= 0, count > 0, count <= capacityBytes, offset <= capacityBytes - count else {
            throw .oversize(limitBytes: capacityBytes)
        }
    }
}
