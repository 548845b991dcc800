internal import FallowModel
internal import FallowPolicy
internal import Glibc

/// What jobs said, kept where an agent that is started again finds it: a job says it once, and may run for days. In the runtime
/// directory, which a boot empties; root's alone. When it cannot be written, such a job goes without.
struct JobMemoryFile {
    struct Entry: Codable {
        var jobID: JobID
        var user: UserID
        var wish: BorrowedMemory.Wish
        var stepds: Set<Int32>
        var folders: Set<String>
    }

    let path: String

    func read() -> [Entry] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == geteuid(), status.st_size < 64 << 20 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        guard Glibc.read(descriptor, &bytes, bytes.count) == bytes.count else { return [] }
        return (try? decodeJSON([Entry].self, from: bytes)) ?? []
    }

    func write(_ entries: [Entry]) {
        guard !entries.isEmpty else {
            unlink(path)
            return
        }
        guard let bytes = try? encodeJSON(entries) else { return }
        let new = path + ".new"
        let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return }
        let count = Glibc.write(descriptor, bytes, bytes.count)
        close(descriptor)
        if count == bytes.count { rename(new, path) } else { unlink(new) }
    }
}
