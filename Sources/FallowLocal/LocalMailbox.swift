internal import CLinux
internal import FallowModel
internal import Glibc

/// A Unix socket to which single messages are sent, each with descriptors and with who sent it, without a connection: a sender
/// wakes its owner once. Owns its descriptor and its socket file.
public final class LocalMailbox: @unchecked Sendable {
    /// One message.
    public struct Message {
        /// How many bytes were stored.
        public var count: Int
        /// Close-on-exec, and the receiver's to close.
        public var descriptors: [Int32]
        /// The sender, as the kernel says.
        public var sender: PeerCredentials
    }

    /// The socket, for watching in an `EventLoop`; -1 once closed.
    public private(set) var descriptor: Int32
    private let file: SocketFile

    /// Binds. A socket file that nobody owns any more is replaced; anything else in its place is an error.
    ///
    /// The kernel keeps `net.unix.max_dgram_qlen` messages for it (10, or 512 where systemd runs); further senders wait.
    /// - Parameter mode: the socket file's permission bits; sending needs write permission.
    /// - Throws: `.badPath`, `.pathInUse`, `.notPermitted`, `.system`.
    public init(path: String, mode: UInt32) throws(LocalError) {
        let descriptor = clinux_socket_create(LocalSocketType.datagram.constant)
        guard descriptor >= 0 else { throw .system("cannot make a socket", -descriptor) }
        do throws(LocalError) {
            let result = clinux_socket_ask_senders(descriptor)
            guard result == 0 else { throw .system("cannot ask for senders", -result) }
            file = try SocketFile(binding: descriptor, type: .datagram, to: path, mode: mode)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit { close() }

    /// Takes one message, without blocking.
    /// - Returns: nil when none is there now.
    /// - Throws: `.overLimit` when a message was longer than the buffer, or carried more descriptors than could be taken; it is
    ///   gone, and what came with it is closed.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) throws(LocalError) -> Message? {
        guard descriptor >= 0 else { throw LocalError(.closed, "the mailbox '\(file.path)' is closed") }
        var received = clinux_received()
        let count = clinux_socket_receive(descriptor, buffer.baseAddress, buffer.count, &received)
        if count == -Int(EAGAIN) { return nil }
        guard count >= 0 else { throw .system("cannot receive", Int32(-count)) }
        let descriptors = try received.checkedDescriptors(capacity: buffer.count)
        guard received.has_sender != 0 else {
            for descriptor in descriptors { Glibc.close(descriptor) }
            throw LocalError(.system, "a message tells no sender")
        }
        return Message(
            count: count, descriptors: descriptors,
            sender: PeerCredentials(pid: received.pid, uid: UserID(received.uid), gid: received.gid))
    }

    /// Stops receiving and removes the socket file if it is still ours. Harmless when done before.
    public func close() {
        guard descriptor >= 0 else { return }
        file.remove()
        Glibc.close(descriptor)
        descriptor = -1
    }
}
