public import FallowModel
internal import Glibc

/// One lease's cgroup: a folder of the same name in every hierarchy in use.
///
/// The name is the lease's id, or, where the executor was started before its lease was known, a number of its own: a
/// cgroup that is in use cannot be renamed, and moving a process between cgroups waits for every CPU (an RCU grace period).
///
/// A value that names folders; the kernel holds the state. Nothing here blocks but where it says so.
public struct LeaseCgroup: Sendable, Hashable {
    public let lease: LeaseID
    struct Folder: Sendable, Hashable {
        let path: String
        let hierarchy: CgroupHierarchy

        var parent: String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }
    }
    /// The one that kills and freezes comes first.
    let folders: [Folder]

    /// The folders that a process has to be in to be wholly in the lease, in this order: what `SpawnRequest.cgroups` wants.
    public var paths: [String] { folders.map(\.path) }

    /// Where a process in it stands by its own /proc/self/cgroup: a controller's name, or nothing for cgroup v2, and the path
    /// from the mount on, with which the line ends.
    public var membership: [String: String] {
        var lines: [String: String] = [:]
        for folder in folders {
            let path = String(folder.path.dropFirst(folder.hierarchy.mount.count))
            if folder.hierarchy.isUnified {
                lines[""] = path
            } else {
                for controller in folder.hierarchy.controllers { lines[controller.rawValue] = path }
            }
        }
        return lines
    }

    /// The folder that kills and freezes: in the v2 hierarchy if there is one, else in v1's freezer.
    var killer: CgroupKiller { CgroupKiller(folder: folders[0].path, isUnified: folders[0].hierarchy.isUnified) }

    /// The processes in it now, those of a half-joined one included; zombies are not.
    public var processes: [Int32] {
        var found: Set<Int32> = []
        for path in paths { found.formUnion(readProcesses("\(path)/cgroup.procs")) }
        return found.sorted()
    }

    /// Whether nothing runs in it: every process has given up its memory and its CPU.
    public var isEmpty: Bool { killer.isEmpty }

    /// Kills everything in it, also what is forking or ignoring signals. Does not wait for the end of the dying.
    public func kill() { killer.kill() }

    /// Sends SIGKILL to every process in it that is not in `signalled`, adds those there and counts them. Never blocks on
    /// what happens to other cgroups, but what forks at that moment escapes.
    @discardableResult
    func signal(except signalled: inout Set<Int32>) -> Int { killer.signal(except: &signalled) }

    /// Takes it off the CPUs without ending it.
    public func freeze() throws(HostError) { try killer.freeze() }

    /// Puts it back on the CPUs.
    public func thaw() throws(HostError) { try killer.thaw() }

    /// What it has used and uses. Reads a few small files.
    public func usage() -> CgroupUsage {
        var cpu = Duration.zero
        if let folder = folders.first(where: \.hierarchy.isUnified),
            let text = HostFile.readIfPresent("\(folder.path)/cpu.stat"),
            let microseconds = HostFile.value(of: "usage_usec", in: text)
        {
            cpu = .microseconds(microseconds)
        } else if let folder = folder(with: .cpuacct), let spent = HostFile.integer("\(folder.path)/cpuacct.usage") {
            cpu = .nanoseconds(spent)
        }
        var memory: Int64?
        var kills: Int64?
        if let folder = folder(with: .memory) {
            let unified = folder.hierarchy.isUnified
            memory = HostFile.integer("\(folder.path)/\(unified ? "memory.current" : "memory.usage_in_bytes")")
            kills = HostFile.readIfPresent("\(folder.path)/\(unified ? "memory.events" : "memory.oom_control")")
                .flatMap { HostFile.value(of: "oom_kill", in: $0) }
        }
        let processes = processes
        return CgroupUsage(
            cpu: cpu,
            memory: ByteCount(memory ?? processes.reduce(0) { $0 + (processMemory($1, procfs: "/proc")?.bytes ?? 0) }),
            oomKills: Int(kills ?? 0), processCount: processes.count)
    }

    /// Removes its folders. What has just died may keep them busy for a moment: retries for up to 100 ms, blocking.
    /// - Throws: `.busy` when something still lives in it. Removing what is gone already is no error.
    public func remove() throws(HostError) {
        for folder in folders.reversed() { try removeFolder(folder.path, retrying: .milliseconds(100)) }
    }

    func folder(with controller: CgroupController) -> Folder? {
        folders.first { $0.hierarchy.controllers.contains(controller) }
    }
}

/// The pids in a cgroup.procs file; empty when it is gone. Zeros (processes of an outer pid namespace) are left out.
func readProcesses(_ file: String) -> [Int32] {
    (HostFile.readIfPresent(file) ?? "").split(separator: "\n").compactMap { Int32($0) }.filter { $0 > 0 }
}

/// Removes a cgroup folder, waiting for the kernel to let go of it.
func removeFolder(_ path: String, retrying span: Duration) throws(HostError) {
    let deadline = monotonicNanoseconds() + span.nanoseconds
    while rmdir(path) != 0 {
        let failure = errno
        if failure == ENOENT { return }
        guard failure == EBUSY, monotonicNanoseconds() < deadline else {
            throw .system("cannot remove the cgroup", path: path, failure)
        }
        sleep(microseconds: 500)
    }
}
