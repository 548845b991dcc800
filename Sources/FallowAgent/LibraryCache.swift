internal import CLinux
internal import FallowDigest
internal import FallowModel
internal import FallowWire
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Users' function libraries on this node, by user and content: `<state>/libraries/<uid>/<sha256>`, owned by root.
///
/// The copy is hashed after it was made, so what is loaded is what was hashed, whatever the user does to the original.
/// Blocking; call it off the event loop. Safe from several threads: files appear by rename, whole.
struct LibraryCache: Sendable {
    /// Largest library that is taken.
    static let limitBytes = 256 << 20
    /// Libraries kept per user; the oldest go.
    static let perUser = 32

    let directory: String

    /// Copies what a client opened, or what another agent sent, and hashes the copy.
    /// - Parameter expected: the hash it must have, when that is known.
    /// - Returns: the hash in hexadecimal. The descriptor stays the caller's.
    func store(descriptor: Int32, user: UserID, expected: String? = nil) throws(WireError) -> String {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw WireError(.libraryUnusable, "the library is no regular file")
        }
        guard status.st_size <= Self.limitBytes else {
            throw WireError(
                .libraryUnusable, "the library has \(status.st_size) bytes; at most \(Self.limitBytes) are taken")
        }
        return try copy(descriptor, user: user, expected: expected)
    }

    /// A nameless file in the cache, to receive a library into; the caller's to close.
    func nameless() throws(WireError) -> Int32 {
        mkdir(directory, 0o711)
        let path = "\(directory)/.receiving-\(UInt64.random(in: 0 ... .max))"
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw WireError(.internalError, "cannot make a file in \(directory): \(String(cString: strerror(errno)))")
        }
        unlink(path)
        return descriptor
    }

    /// The path a library has, or would have, here.
    func path(_ sha256: String, user: UserID) -> String { "\(directory)/\(user)/\(sha256)" }

    /// Whether a text can be a hash: 64 lower-case hexadecimal digits. Nothing else becomes part of a path.
    static func isHash(_ text: String) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// A library opened for reading, the caller's to close; nil when it is not here.
    func open(_ sha256: String, user: UserID) -> Int32? {
        guard Self.isHash(sha256) else { return nil }
        let descriptor = Glibc.open(path(sha256, user: user), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        return descriptor >= 0 ? descriptor : nil
    }

    private func copy(_ source: Int32, user: UserID, expected: String?) throws(WireError) -> String {
        let folder = "\(directory)/\(user)"
        mkdir(directory, 0o711)
        mkdir(folder, 0o711)
        let temporary = "\(folder)/.incoming-\(UInt64.random(in: 0 ... .max))"
        let copy = Glibc.open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o444)
        func failure(_ what: String) -> WireError {
            WireError(.internalError, "\(what) in \(folder): \(String(cString: strerror(errno)))")
        }
        guard copy >= 0 else { throw failure("cannot keep a library") }
        defer {
            close(copy)
            unlink(temporary)
        }
        var hash = SHA256()
        var offset = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while offset <= Self.limitBytes {
            let count = pread(source, &buffer, buffer.count, off_t(offset))
            if count == 0 { break }
            guard count > 0 else { throw failure("cannot read the library to be kept") }
            guard write(copy, buffer, count) == count else { throw failure("cannot write a library") }
            // What was written, not what was read: the copy is what will be loaded.
            guard pread(copy, &buffer, count, off_t(offset)) == count else {
                throw failure("cannot read a library back")
            }
            hash.update(buffer[..<count])
            offset += count
        }
        guard offset <= Self.limitBytes else {
            throw WireError(.libraryUnusable, "the library has more than \(Self.limitBytes) bytes")
        }
        let sha256 = hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        if let expected, expected != sha256 {
            throw WireError(.invalid, "the library's bytes have the hash \(sha256), not \(expected)")
        }
        guard rename(temporary, path(sha256, user: user)) == 0 else { throw failure("cannot name a library") }
        prune(folder)
        return sha256
    }

    /// Keeps the newest libraries of a user. One that an executor has open stays readable for it.
    private func prune(_ folder: String) {
        let files = filesInDirectory(folder).filter(Self.isHash).map { name in
            var status = stat()
            return stat("\(folder)/\(name)", &status) == 0 ? (name, status.st_mtim.tv_sec) : (name, 0)
        }
        guard files.count > Self.perUser else { return }
        for (name, _) in files.sorted(by: { $0.1 > $1.1 }).dropFirst(Self.perUser) { removeFile("\(folder)/\(name)") }
    }
}
