internal import FallowModel
internal import Glibc

/// A file of this process that the program's own library opens as /proc/PID/fd/FD. It is not inherited, so that programs that close
/// what they do not know do no harm; the inode says that it is still the same.
struct SharedFile {
    var descriptor: Int32
    var inode: UInt64

    init(descriptor: Int32) throws(RunRefusal) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw RunRefusal(RunRefusal.noMemory, "a memory file is gone: \(String(cString: strerror(errno)))")
        }
        self.descriptor = descriptor
        inode = UInt64(status.st_ino)
    }

    func text(in parent: pid_t) -> String { "\(parent):\(descriptor):\(inode)" }
}

/// A donor's memory file: where its data begin, and where its word is that says they were taken away.
struct LentFile {
    var file: SharedFile
    var bytes: Int
    var dataOffset: Int
    var reclaimedOffset: Int
}

/// The environment that `libfallow-preload.so` reads; pager/preload/preload.h says what the names mean.
struct RunEnvironment {
    var parent: pid_t
    var claim: SharedFile?
    var scratch: SharedFile?
    var preload: String?
    private(set) var lentBytes = 0
    private var values: [String: String] = [:]

    init(parent: pid_t) { self.parent = parent }

    /// - Parameter relay: its file, and the bytes behind it.
    mutating func lend(
        _ files: [LentFile], relay: (file: SharedFile, bytes: Int)?, local: ByteCount, block: ByteCount, fallsBack: Bool
    ) {
        lentBytes = files.reduce(0) { $0 + $1.bytes } + (relay?.bytes ?? 0)
        values["FALLOW_RUN_MEMORY"] =
            files.map { "\($0.file.text(in: parent)):\($0.dataOffset):\($0.reclaimedOffset)" }.joined(separator: ",")
        values["FALLOW_RUN_RELAY"] = relay?.file.text(in: parent)
        values["FALLOW_RUN_LOCAL"] = "\(local.bytes)"
        values["FALLOW_RUN_BLOCK"] = "\(block.bytes)"
        values["FALLOW_RUN_FALLBACK"] = fallsBack ? "local" : "fail"
        values["FALLOW_RUN_PARENT"] = "\(parent)"
    }

    /// The program's whole environment. Names of an outer `fallow run` do not go on.
    func merged(with inherited: [String: String]) -> [String: String] {
        let kept = ["FALLOW_RUN_STATISTICS", "FALLOW_RUN_THRESHOLD"]
        var all = inherited.filter { !$0.key.hasPrefix("FALLOW_RUN_") || kept.contains($0.key) }
        for (name, value) in values { all[name] = value }
        all["FALLOW_RUN_CLAIM"] = claim?.text(in: parent)
        all["FALLOW_RUN_SCRATCH"] = scratch?.text(in: parent)
        if let preload {
            let others = inherited["LD_PRELOAD"].map { $0.isEmpty ? "" : ":\($0)" } ?? ""
            all["LD_PRELOAD"] = preload + others
        }
        return all
    }
}

/// Where `libfallow-preload.so` is: beside the program, as installed or as built.
enum PreloadLibrary {
    static func path(_ environment: [String: String]) throws(RunRefusal) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let program = length > 0 ? String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
        let folder = program.split(separator: "/").dropLast().map { "/\($0)" }.joined()
        var candidates = ["lib/fallow", "lib", "../pager"].map { "\(folder)/../\($0)/libfallow-preload.so" }
        if let named = environment["FALLOW_PRELOAD_LIBRARY"] { candidates = [named] }
        for candidate in candidates where access(candidate, R_OK) == 0 {
            guard let full = realpath(candidate, nil) else { continue }
            defer { free(full) }
            return String(cString: full)
        }
        throw RunRefusal(
            RunRefusal.notRunnable,
            "libfallow-preload.so is not installed: it was looked for as \(candidates.joined(separator: ", "))")
    }
}
