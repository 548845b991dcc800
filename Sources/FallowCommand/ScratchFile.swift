internal import CLinux
internal import FallowModel
internal import Glibc

extension SharedFile {
    /// A new memory file.
    static func memory(named name: String, bytes: Int) throws(RunRefusal) -> SharedFile {
        let descriptor = clinux_arena_create(name, Int64(bytes))
        guard descriptor >= 0 else {
            throw RunRefusal(
                RunRefusal.noMemory, "no memory file could be made: \(String(cString: strerror(-descriptor)))")
        }
        return try SharedFile(descriptor: descriptor)
    }
}

/// The second copy of durable memory: a file without a name, gone with this process and the program.
enum ScratchFile {
    /// All of its blocks are there at once, so that no later write finds the disk full.
    static func open(in folder: String, bytes: Int) throws(RunRefusal) -> SharedFile {
        func refusal(_ why: String) -> RunRefusal {
            RunRefusal(RunRefusal.noMemory, "--durable cannot keep its copy in \(folder): \(why)")
        }
        let isMemory = clinux_folder_is_memory(folder)
        guard isMemory >= 0 else { throw refusal(String(cString: strerror(-isMemory))) }
        guard isMemory == 0 else {
            throw refusal("it is memory of this node (tmpfs); name a folder on a disk with --scratch")
        }
        let descriptor = Glibc.open(folder, O_RDWR | O_CLOEXEC | temporaryFile, 0o600)
        guard descriptor >= 0 else { throw refusal(String(cString: strerror(errno))) }
        let error = posix_fallocate(descriptor, 0, bytes)
        guard error == 0 else {
            close(descriptor)
            throw refusal("\(ByteCount(bytes)) are not free there (\(String(cString: strerror(error))))")
        }
        return try SharedFile(descriptor: descriptor)
    }

    /// O_TMPFILE, which Swift's Glibc module does not define.
    private static let temporaryFile: Int32 = 0o20000000 | O_DIRECTORY
}
