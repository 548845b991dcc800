internal import CLinux
public import FallowModel
internal import Glibc
public import Logging

/// Our part of the machine's cgroups: one folder per lease, all of them under `<path>/leases`, in every hierarchy in use.
///
/// Killing everything is one write to `<mount>/<path>/leases/cgroup.kill` (v2), or freezing, killing and thawing
/// `<mount>/freezer/<path>/leases` (v1). The first folder of the path gets the lowest CPU weight there is, since weight is decided
/// where trees diverge. The state is the kernel's: a restarted agent makes a tree of the same path and finds its leases.
public final class CgroupTree: Sendable {
    public let path: String
    /// Controllers that this machine does not offer; a lease that needs one is refused.
    public let missingControllers: Set<CgroupController>
    /// Whether to start a process in a lease's cgroup waits for no grace period and holds up no kill: it is born there (cgroup v2, Linux 5.7), or
    /// moves are quick (`movesAreQuick`). Else it is moved there, for which the kernel waits for every CPU (10 to
    /// 20 ms), under the lock that kills need.
    public let birthsAreImmediate: Bool
    let hierarchies: [CgroupHierarchy]
    let topWeight: TopWeight
    private let logger: Logger
    /// Parent folders that `destroy` may remove, innermost first.
    private let removableParents: [String]

    /// Finds the hierarchies and makes the tree's folders where they are not there yet. Needs root.
    ///
    /// Under v2 with controllers, processes in `path` itself (an agent started there by systemd with Delegate=yes) are moved to
    /// `<path>/agent`, because a cgroup with controllers for its children may hold no processes.
    ///
    /// - Parameters:
    ///   - path: relative to the mount: `fallow.slice/fallowd.service`. The first folder must be ours: new, or named `fallow…`.
    ///   - share: the CPU weight of the path's first folder.
    ///   - requires: controllers without which there is no point; they are named in the error.
    public init(
        path: String, mount: String = "/sys/fs/cgroup", mode: CgroupMode = .automatic, share: CgroupShare = .lowest,
        requires: Set<CgroupController> = [.cpu, .memory, .pids], logger: Logger = Logger(label: "fallow.cgroup")
    ) throws(HostError) {
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !components.isEmpty, components.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
            throw HostError(
                .badRequest,
                "the cgroup path '\(path)' must be relative and plain, like fallow.slice/fallowd.service")
        }
        let layout = try CgroupLayout.detect(mount: mount, mode: mode)
        let lacking = requires.intersection(layout.missing)
        guard lacking.isEmpty else {
            let names = lacking.map(\.rawValue).sorted().joined(separator: ", ")
            throw HostError(
                .unsupported,
                "this machine offers no \(names) cgroup controller: enable it (kernel command line, or systemd's Delegate=)",
                path: mount)
        }
        self.path = path
        self.logger = logger
        missingControllers = layout.missing
        hierarchies = layout.hierarchies
        birthsAreImmediate =
            layout.hierarchies.allSatisfy(\.isUnified) && clinux_spawn_knows_birth_in_cgroups() != 0
            || Self.movesAreQuick(mounts: HostFile.readIfPresent("/proc/self/mounts") ?? "")
        topWeight = TopWeight(
            folders: hierarchies.filter { $0.controllers.contains(.cpu) }
                .map { CgroupWeight(hierarchy: $0, folder: "\($0.mount)/\(components[0])", atRest: share) })
        var removable: [String] = []
        for hierarchy in layout.hierarchies {
            var builder = CgroupFolderBuilder(
                hierarchy: hierarchy, components: components.map { String($0) }, share: share)
            try builder.build()
            removable = builder.removableParents + removable
        }
        removableParents = removable
        if !layout.missing.isEmpty {
            let names = layout.missing.map(\.rawValue).sorted().joined(separator: ", ")
            logger.notice("cgroup controllers are missing here", metadata: ["controllers": "\(names)"])
        }
    }

    /// Makes a lease's cgroup with its limits, empty. Nothing is left behind when it fails.
    public func create(_ lease: LeaseID, limits: LeaseLimits) throws(HostError) -> LeaseCgroup {
        try LeaseLimitWriter.check(limits, missing: missingControllers)
        let cgroup = try create(lease)
        do throws(HostError) {
            try limit(cgroup, to: limits)
        } catch {
            try? cgroup.remove()
            throw error
        }
        return cgroup
    }

    /// Makes a cgroup that a process can enter and that limits nothing yet: for an executor that waits for its lease.
    /// Nothing is left behind when it fails.
    public func create(_ lease: LeaseID) throws(HostError) -> LeaseCgroup {
        let cgroup = self.cgroup(for: lease)
        for (index, folder) in cgroup.folders.enumerated() {
            do throws(HostError) {
                guard try HostFile.makeFolder(folder.path) else {
                    throw HostError(.exists, "the lease \(lease) has a cgroup already", path: folder.path)
                }
                try LeaseLimitWriter.prepare(folder)
            } catch {
                for made in cgroup.folders[...index] where error.code != .exists || made != folder { rmdir(made.path) }
                throw error
            }
        }
        return cgroup
    }

    /// Holds a cgroup to limits, whether anything runs in it already or not.
    public func limit(_ cgroup: LeaseCgroup, to limits: LeaseLimits) throws(HostError) {
        try LeaseLimitWriter.check(limits, missing: missingControllers)
        for folder in cgroup.folders { try LeaseLimitWriter.apply(limits, to: folder) }
    }

    /// The cgroup of a lease that exists, as after a restart; nil when there is none.
    public func existing(_ lease: LeaseID) -> LeaseCgroup? {
        let cgroup = cgroup(for: lease)
        return cgroup.folders.contains { HostFile.exists($0.path) } ? cgroup : nil
    }

    /// Whether the site has told the kernel to prefer moves between cgroups to forks (the mount option favordynmods, Linux 6.0), which
    /// holds for the whole machine whichever hierarchy has it.
    /// - Parameter mounts: as /proc/self/mounts has them: device, folder, type, options, two numbers.
    package static func movesAreQuick(mounts: String) -> Bool {
        mounts.split(separator: "\n").contains { line in
            let words = line.split(separator: " ")
            return words.count > 3 && (words[2] == "cgroup" || words[2] == "cgroup2")
                && words[3].split(separator: ",").contains("favordynmods")
        }
    }

    /// Every lease that has a folder in any hierarchy, those half made or half removed included.
    public func leases() -> [LeaseID] {
        var found: Set<LeaseID> = []
        for hierarchy in hierarchies {
            for name in HostFile.names(in: leasesFolder(in: hierarchy)) {
                if let lease = LeaseID(parsing: name) { found.insert(lease) }
            }
        }
        return found.sorted { $0.number < $1.number }
    }

    /// Gives the tree an ordinary CPU weight for as long as what is returned exists. With the lowest weight, on a node whose every
    /// core is busy, a process needs seconds to start, and a donor minutes to have its memory allocated. It is a
    /// write of two small files.
    public func hurry() -> CgroupHurry { CgroupHurry(topWeight) }

    /// Kills everything in every lease. Does not wait: `vacate` does, and gives the dying the time to die.
    public func killAll() {
        CgroupKiller(folder: leasesFolder(in: hierarchies[0]), isUnified: hierarchies[0].isUnified).kill()
    }

    /// Kills what is left, removes every lease and every folder that the tree made, parents included when they are empty.
    /// Blocks for up to a second.
    /// - Throws: `.busy` when a process cannot be killed.
    public func destroy() throws(HostError) {
        let vacated = vacate(leases(), within: .milliseconds(800))
        if let (lease, pids) = vacated.stuck.first {
            throw HostError(.busy, "the lease \(lease) still holds the processes \(pids)")
        }
        for lease in leases() { try cgroup(for: lease).remove() }
        for hierarchy in hierarchies {
            try removeFolder(leasesFolder(in: hierarchy), retrying: .milliseconds(100))
            rmdir("\(hierarchy.mount)/\(path)/agent")
        }
        // Refused, rightly, where somebody else is inside.
        for parent in removableParents { rmdir(parent) }
    }

    func leasesFolder(in hierarchy: CgroupHierarchy) -> String { "\(hierarchy.mount)/\(path)/leases" }

    func cgroup(for lease: LeaseID) -> LeaseCgroup {
        LeaseCgroup(
            lease: lease,
            folders: hierarchies.map { .init(path: "\(leasesFolder(in: $0))/\(lease)", hierarchy: $0) })
    }
}
