internal import CLinux
public import FallowModel
internal import Glibc

/// The kind of a Unix socket: bytes in order, or whole messages in order, or messages to a `LocalMailbox`.
public enum LocalSocketType: Hashable, Sendable {
    case stream
    case seqpacket
    case datagram

    var constant: Int32 {
        switch self {
        case .stream: Int32(CLINUX_SOCKET_STREAM)
        case .seqpacket: Int32(CLINUX_SOCKET_SEQPACKET)
        case .datagram: Int32(CLINUX_SOCKET_DATAGRAM)
        }
    }
}

/// Who is behind a connection, as the kernel recorded it when the connection was made (`SO_PEERCRED`, the effective user), or who
/// sent a message to a `LocalMailbox` (`SCM_CREDENTIALS`, the real one).
public struct PeerCredentials: Hashable, Sendable {
    /// The process; 0 when it is not visible from this pid namespace.
    public var pid: Int32
    public var uid: UserID
    public var gid: UInt32
    public init(pid: Int32, uid: UserID, gid: UInt32) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }
}

/// One connected Unix socket: nonblocking, close-on-exec, able to carry descriptors. Owns its descriptor.
///
/// Not thread-safe: one owner at a time. Never raises SIGPIPE.
public final class LocalConnection: @unchecked Sendable {
    /// The most descriptors that one message may carry.
    public static let descriptorLimit = Int(CLINUX_MAX_DESCRIPTORS)

    /// The socket, for watching in an `EventLoop`; -1 once closed.
    public private(set) var descriptor: Int32
    /// The process on the other side.
    public let peer: PeerCredentials
    public let type: LocalSocketType

    /// Takes over a connected Unix socket and makes it nonblocking and close-on-exec.
    /// - Throws: when it is no Unix socket; the descriptor is closed then.
    public init(adopting descriptor: Int32, type: LocalSocketType) throws(LocalError) {
        var pid: pid_t = 0
        var uid: uid_t = 0
        var gid: gid_t = 0
        let result = clinux_socket_peer(descriptor, &pid, &uid, &gid)
        guard result == 0 else {
            Glibc.close(descriptor)
            throw .system("descriptor \(descriptor) is no connected Unix socket", -result)
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        self.descriptor = descriptor
        self.type = type
        peer = PeerCredentials(pid: pid, uid: UserID(uid), gid: gid)
    }

    deinit { close() }

    /// Connects to a listener, waiting while its backlog is full. Blocks at most for the time-out.
    public static func connect(
        path: String, type: LocalSocketType, timeout: Duration
    ) throws(LocalError) -> LocalConnection {
        try checkSocketPath(path)
        let descriptor = clinux_socket_create(type.constant)
        guard descriptor >= 0 else { throw .system("cannot make a socket", -descriptor) }
        let deadline = deadlineNanoseconds(after: timeout)
        while true {
            let result = clinux_socket_connect(descriptor, path)
            if result == 0 { break }
            // A Unix socket says EAGAIN when the backlog is full, and nothing tells when it no longer is.
            guard result == -EAGAIN || result == -EINTR, monotonicNanoseconds() < deadline else {
                Glibc.close(descriptor)
                if result == -EAGAIN {
                    throw LocalError(.timedOut, "nobody accepted a connection on '\(path)' within \(timeout)")
                }
                throw .system("cannot connect to '\(path)'", -result)
            }
            usleep(500)
        }
        return try LocalConnection(adopting: descriptor, type: type)
    }

    /// Two connected ends, as for a lifeline between parent and child.
    public static func pair(type: LocalSocketType) throws(LocalError) -> (LocalConnection, LocalConnection) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) {
            clinux_socket_pair(type.constant, $0.baseAddress!.assumingMemoryBound(to: Int32.self))
        }
        guard result == 0 else { throw .system("cannot make a pair of sockets", -result) }
        let first = try LocalConnection(adopting: ends.0, type: type)
        return (first, try LocalConnection(adopting: ends.1, type: type))
    }

    /// Closes the socket now. Harmless when done before.
    public func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Gives the descriptor away: the caller closes it from now on, and this connection is as closed.
    public func release() -> Int32 {
        defer { descriptor = -1 }
        return descriptor
    }

    /// Sends bytes, and descriptors with the first of them, without blocking. The descriptors stay the caller's.
    /// - Returns: how many bytes were taken (all of them on a `.seqpacket`); nil when the socket's buffer is full.
    public func send(_ bytes: UnsafeRawBufferPointer, descriptors: [Int32] = []) throws(LocalError) -> Int? {
        guard descriptors.count <= Self.descriptorLimit else {
            throw LocalError(
                .overLimit,
                "a message carries at most \(Self.descriptorLimit) descriptors, not \(descriptors.count)")
        }
        guard descriptor >= 0 else { throw LocalError(.closed, "the connection is closed") }
        let sent = clinux_socket_send(descriptor, bytes.baseAddress, bytes.count, descriptors, descriptors.count)
        if sent >= 0 { return sent }
        if sent == -Int(EAGAIN) { return nil }
        throw .system("cannot send \(bytes.count) bytes", Int32(-sent))
    }

    /// `send` for an array of bytes.
    public func send(_ bytes: [UInt8], descriptors: [Int32] = []) throws(LocalError) -> Int? {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(LocalError) in try send(bytes, descriptors: descriptors) }
        }
        return try result.get()
    }

    /// Receives what is there, without blocking.
    /// - Returns: the bytes stored (0 at the end of the connection) and the descriptors that came with them, close-on-exec and
    ///   the caller's to close; nil when nothing is there now.
    /// - Throws: `.overLimit` when a packet was longer than the buffer or descriptors were lost; what arrived is closed then.
    public func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(LocalError) -> (count: Int, descriptors: [Int32])? {
        guard descriptor >= 0 else { throw LocalError(.closed, "the connection is closed") }
        var received = clinux_received()
        let count = clinux_socket_receive(descriptor, buffer.baseAddress, buffer.count, &received)
        if count == -Int(EAGAIN) { return nil }
        guard count >= 0 else { throw .system("cannot receive", Int32(-count)) }
        return (count, try received.checkedDescriptors(capacity: buffer.count))
    }

    /// Waits until there is something to receive, at most until the deadline of `deadlineNanoseconds`.
    /// - Returns: false when the time-out came first.
    public func waitReadable(timeout: Duration) -> Bool {
        waitReady(descriptor, for: POLLIN, until: deadlineNanoseconds(after: timeout))
    }
}

extension clinux_received {
    /// The descriptors of a message that came whole.
    /// - Throws: `.overLimit` when bytes or descriptors were lost; what arrived is closed then.
    mutating func checkedDescriptors(capacity: Int) throws(LocalError) -> [Int32] {
        let count = descriptor_count
        let taken = withUnsafeBytes(of: &descriptors) { Array($0.bindMemory(to: Int32.self).prefix(count)) }
        guard descriptors_lost == 0, bytes_lost == 0 else {
            for descriptor in taken { Glibc.close(descriptor) }
            throw LocalError(
                .overLimit,
                bytes_lost != 0
                    ? "a packet was longer than the \(capacity) bytes allowed"
                    : "a message carried more descriptors than could be received (at most "
                        + "\(LocalConnection.descriptorLimit))")
        }
        return taken
    }
}

/// A socket path must fit into `sun_path` with its terminating zero.
func checkSocketPath(_ path: String) throws(LocalError) {
    let limit = Int(CLINUX_MAX_PATH)
    guard !path.isEmpty, !path.utf8.contains(0) else {
        throw LocalError(.badPath, "a socket path must not be empty or hold a zero byte")
    }
    guard path.utf8.count <= limit else {
        throw LocalError(
            .badPath,
            "the socket path '\(path)' has \(path.utf8.count) bytes; the kernel allows at most \(limit): "
                + "choose a shorter runtime directory")
    }
}
