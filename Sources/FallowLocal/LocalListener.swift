internal import CLinux
internal import Glibc

/// A Unix socket that accepts connections. Owns its descriptor and its socket file.
public final class LocalListener: @unchecked Sendable {
    /// The socket, for watching in an `EventLoop`; -1 once closed.
    public private(set) var descriptor: Int32
    public var path: String { file.path }
    public let type: LocalSocketType
    private let file: SocketFile

    /// Binds and listens. A socket file that nobody listens on any more is replaced; anything else in its place is an error.
    ///
    /// - Parameters:
    ///   - mode: the socket file's permission bits; connecting needs write permission.
    ///   - backlog: connections that may wait to be accepted.
    /// - Throws: `.badPath`, `.pathInUse`, `.notPermitted`, `.system`.
    public init(path: String, type: LocalSocketType, mode: UInt32, backlog: Int = 128) throws(LocalError) {
        let descriptor = clinux_socket_create(type.constant)
        guard descriptor >= 0 else { throw .system("cannot make a socket", -descriptor) }
        do throws(LocalError) {
            file = try SocketFile(binding: descriptor, type: type, to: path, mode: mode)
            let result = clinux_socket_listen(descriptor, Int32(clamping: backlog))
            guard result == 0 else {
                file.remove()
                throw .system("cannot listen on '\(path)'", -result)
            }
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.type = type
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
        file.remove()
        Glibc.close(descriptor)
        descriptor = -1
    }
}
