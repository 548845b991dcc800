internal import FallowControl
internal import Glibc
internal import Logging
internal import Synchronization

/// Which build of the plugin slurmstepd loads on this node, so that one that differs from other machines' is found.
///
/// Slurm's configuration says where the plugin ought to be; what runs is what a slurmstepd has mapped, replaced on the disk or not.
final class PluginWatch: Sendable {
    private static let interval: Duration = .seconds(60)
    private static let name = "/spank_fallow.so"
    private static let limitBytes = 16 << 20

    private let door: LoopDoor<NodeShell>
    private let log: Logger
    private let nextLook = Mutex<ContinuousClock.Instant>(.now)
    private let last = Mutex<String?>(nil)

    init(door: LoopDoor<NodeShell>, log: Logger) {
        self.door = door
        self.log = log
    }

    /// A slurmstepd has just reported: looks at it, unless one was looked at within the last minute. Does not block.
    func stepStarted(by stepd: Int32) {
        let isDue = nextLook.withLock { next in
            guard .now >= next else { return false }
            next = .now + Self.interval
            return true
        }
        guard isDue else { return }
        Task {
            let digest = try? await BlockingPool.shared.run(timeout: .seconds(5), "looking at the plugin") {
                Self.digest(ofProcess: stepd)
            }
            guard let digest = digest ?? nil else {
                // Its step was over before: the next one will do.
                return nextLook.withLock { $0 = .now }
            }
            let isNew = last.withLock { last in
                defer { last = digest }
                return last != digest
            }
            if isNew { log.notice("steps load the plugin", metadata: ["build": "\(digest)"]) }
            door.tell { $0.plugin = digest }
        }
    }

    /// The first 16 digits of the SHA-256 of the plugin that a process has loaded. Blocks for two files.
    /// - Returns: nil when there is no such process any more, or it has loaded none.
    static func digest(ofProcess pid: Int32) -> String? {
        guard let maps = contents("/proc/\(pid)/maps") else { return nil }
        for line in maps.split(separator: UInt8(ascii: "\n")) {
            let text = String(decoding: line, as: UTF8.self)
            guard text.hasSuffix(name) || text.hasSuffix("\(name) (deleted)") else { continue }
            // The file that is mapped, whatever bears its name by now.
            guard let file = contents("/proc/\(pid)/map_files/\(text.prefix { $0 != " " })") else { return nil }
            return Seal.buildDigest(file)
        }
        return nil
    }

    private static func contents(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count == 0 { return bytes }
            guard count > 0, bytes.count + count <= limitBytes else { return nil }
            bytes += buffer[..<count]
        }
    }
}
