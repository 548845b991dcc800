internal import CLinux
internal import Glibc

/// The file of a Unix socket that is ours: made with it, and removed with it if nobody has put another in its place.
struct SocketFile {
    let path: String
    private let inode: ino_t

    /// Binds a socket to a path. A socket file that nobody listens on any more is replaced; anything else in its place is an
    /// error.
    ///
    /// - Parameters:
    ///   - mode: the file's permission bits, never wider: connecting, and sending, need write permission.
    /// - Throws: `.badPath`, `.pathInUse`, `.notPermitted`, `.system`; the descriptor stays the caller's.
    init(binding descriptor: Int32, type: LocalSocketType, to path: String, mode: UInt32) throws(LocalError) {
        try checkSocketPath(path)
        try Self.removeStale(path, type)
        // The file gets the socket's own bits, less the umask.
        var result: Int32 = fchmod(descriptor, mode) == 0 ? 0 : -errno
        if result == 0 { result = clinux_socket_bind(descriptor, path) }
        if result == 0, chmod(path, mode) != 0 { result = -errno }
        var status = stat()
        if result == 0, stat(path, &status) != 0 { result = -errno }
        guard result == 0 else { throw .system("cannot listen on '\(path)'", -result) }
        self.path = path
        inode = status.st_ino
    }

    /// Removes the file if it is still ours.
    func remove() {
        var status = stat()
        if stat(path, &status) == 0, status.st_ino == inode { unlink(path) }
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
