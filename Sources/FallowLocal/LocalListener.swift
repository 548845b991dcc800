internal import CLinux
internal import Glibc

/// A Unix socket that accepts connections. Owns its descriptor and its socket file.
public final class LocalListener: @unchecked Sendable {
    /// The socket, for watching in an `EventLoop`; -1 once closed.
    public private(set) var descriptor: Int32
    public let path: String
    public let type: LocalSocketType
    private let inode: ino_t

    /// Binds and listens. A socket file that nobody listens on any more is replaced; anything else in its place is an error.
    ///
    /// - Parameters:
    ///   - mode: the socket file's permission bits; connecting needs write permission.
    ///   - backlog: connections that may wait to be accepted.
    /// - Throws: `.badPath`, `.pathInUse`, `.notPermitted`, `.system`.
    public init(path: String, type: LocalSocketType, mode: UInt32, backlog: Int = 128) throws(LocalError) {
        try checkSocketPath(path)
        try Self.removeStale(path, type)
        let descriptor = clinux_socket_create(type.constant)
        guard descriptor >= 0 else { throw .system("cannot make a socket", -descriptor) }
        var result = clinux_socket_bind(descriptor, path)
        // Nobody can connect before listen(), so there is no moment at which the mode is too wide.
        if result == 0, chmod(path, mode) != 0 { result = -errno }
        if result == 0 { result = clinux_socket_listen(descriptor, Int32(clamping: backlog)) }
        var status = stat()
        if result == 0, stat(path, &status) != 0 { result = -errno }
        guard result == 0 else {
            Glibc.close(descriptor)
            throw .system("cannot listen on '\(path)'", -result)
        }
        self.descriptor = descriptor
        self.path = path
        self.type = type
        inode = status.st_ino
    }

    deinit { close() }

    /// Accepts one waiting connection, without blocking.
    /// - Returns: nil when none waits, or the one that waited has gone again.
    public func accept() throws(LocalError) -> LocalConnection? {
        guard descriptor >= 0 else { throw LocalError(.closed, "the listener on '\(path)' is closed") }
        let accepted = clinux_socket_accept(descriptor)
        switch -accepted {
        case EAGAIN, EINTR, ECONNABORTED: return nil
        case 1...: throw .system("cannot accept on '\(path)'", -accepted)
        default: return try LocalConnection(adopting: accepted, type: type)
        }
    }

    /// Stops listening and removes the socket file if it is still ours. Harmless when done before.
    public func close() {
        guard descriptor >= 0 else { return }
        var status = stat()
        if stat(path, &status) == 0, status.st_ino == inode { unlink(path) }
        Glibc.close(descriptor)
        descriptor = -1
    }

    private static func removeStale(_ path: String, _ type: LocalSocketType) throws(LocalError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw LocalError(.pathInUse, "'\(path)' exists and is no socket: remove it or choose another path")
        }
        let probe = clinux_socket_create(type.constant)
        guard probe >= 0 else { throw .system("cannot make a socket", -probe) }
        defer { Glibc.close(probe) }
        switch -clinux_socket_connect(probe, path) {
        case ECONNREFUSED:
            guard unlink(path) == 0 || errno == ENOENT else {
                throw .system("cannot remove the stale socket '\(path)'", errno)
            }
        case ENOENT: return
        case 0, EAGAIN, EPROTOTYPE:
            throw LocalError(.pathInUse, "another process listens on '\(path)': stop it or choose another path")
        case let other: throw .system("cannot tell whether anybody listens on '\(path)'", other)
        }
    }
}
