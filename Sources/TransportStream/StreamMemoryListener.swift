internal import CLinux
public import FallowModel
public import FallowTransport
internal import Glibc
internal import Synchronization
internal import TransportHandshake

/// Where a donor waits for the borrower of its memory over TCP, and serves it.
///
/// One borrower at a time; a borrower that was lost may connect again. Serving takes one thread, which polls for 50 µs after
/// the last traffic and then sleeps.
public final class StreamMemoryListener: Sendable {
    /// Where it listens: "host:port", the host numeric. What borrowers have to be told, letter for letter.
    public let address: String
    private let door: Mutex<StreamDoor>
    private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - bindAddress: a numeric address of this node.
    ///   - secret: the lease's, 32 bytes.
    ///   - memory: what is lent; has to outlive the listener.
    /// - Throws: `system` with EINVAL for a host that is not numeric, no memory or another secret; else what the system says.
    public init(
        bindAddress: String, leaseID: LeaseID, secret: [UInt8], memory: UnsafeMutableRawBufferPointer
    ) throws(TransportError) {
        guard secret.count == ProofKey.secretBytes, memory.count > 0 else { throw .system(code: EINVAL) }
        var port: UInt16 = 0
        let listener = try StreamSocket(adopting: clinux_stream_listen(bindAddress, &port))
        address = NumericAddress.joined(host: bindAddress, port: port)
        let introduction = StreamIntroduction(
            leaseID: leaseID, secret: secret, address: address, capacityBytes: memory.count)
        nonisolated(unsafe) let opened = listener
        door = Mutex(StreamDoor(opened, introduction))
        self.memory = memory
    }

    /// How many connects were turned away so far, by reason ("proof", "version", "replayed", …).
    public var refusals: [String: Int] { door.withLock { $0.refusals } }

    /// Serves borrowers, one after the other. Blocks as long as it is wanted.
    /// - Parameter isWanted: asked about every 50 ms.
    public func serve(while isWanted: () -> Bool) {
        while isWanted() {
            guard let socket = meet(atMostMilliseconds: 50) else { continue }
            StreamService(socket, memory).run {
                // Whoever else connects is turned away: the memory is taken.
                _ = meet(atMostMilliseconds: 0)
                return isWanted()
            }
            door.withLock { $0.free() }
        }
    }

    private func meet(atMostMilliseconds milliseconds: CInt) -> StreamSocket? {
        door.withLock { door in
            nonisolated(unsafe) let socket = door.next(atMostMilliseconds: milliseconds)
            return socket
        }
    }
}
