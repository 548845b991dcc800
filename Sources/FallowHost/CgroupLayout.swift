/// What a cgroup hierarchy can limit or count, by the kernel's names.
public enum CgroupController: String, Hashable, Sendable, CaseIterable {
    case cpu, cpuset, memory, pids
    /// Exist under cgroup v1 only; v2 has their service without a controller.
    case freezer, cpuacct
}

/// Which cgroup interface to use.
public enum CgroupMode: String, Hashable, Sendable {
    /// v2 where it is mounted alone, else v1 with the empty v2 hierarchy beside it if there is one ("hybrid"), else v1.
    case automatic
    /// v1 only, even where a v2 hierarchy is beside it.
    case v1
    /// v2 only: mounted at the mount point itself or as its `unified`.
    case v2
}

/// One mounted hierarchy and which of its controllers concern us.
struct CgroupHierarchy: Sendable, Hashable {
    let mount: String
    let controllers: Set<CgroupController>
    let isUnified: Bool
}

/// Which hierarchies this machine has.
struct CgroupLayout: Sendable {
    /// The one that kills and freezes comes first, so that a process is in it before it is in any other.
    let hierarchies: [CgroupHierarchy]
    let missing: Set<CgroupController>

    static func detect(mount: String, mode: CgroupMode) throws(HostError) -> CgroupLayout {
        let alone = HostFile.exists("\(mount)/cgroup.controllers")
        let beside = HostFile.exists("\(mount)/unified/cgroup.controllers")
        if alone, mode != .v1 { return v2(at: mount) }
        if mode == .v2 {
            guard beside else {
                throw HostError(
                    .unsupported, "no cgroup v2 hierarchy is mounted here or in its folder 'unified'", path: mount)
            }
            return v2(at: "\(mount)/unified")
        }
        return try v1(at: mount, unified: mode == .automatic && beside ? "\(mount)/unified" : nil)
    }

    private static func v2(at mount: String) -> CgroupLayout {
        let controllers = unifiedControllers(at: mount)
        let wanted: Set<CgroupController> = [.cpu, .cpuset, .memory, .pids]
        return CgroupLayout(
            hierarchies: [CgroupHierarchy(mount: mount, controllers: controllers, isUnified: true)],
            missing: wanted.subtracting(controllers))
    }

    private static func v1(at mount: String, unified: String?) throws(HostError) -> CgroupLayout {
        var byFolder: [String: Set<CgroupController>] = [:]
        var missing: Set<CgroupController> = []
        let inUnified = unified.map(unifiedControllers) ?? []
        for controller in CgroupController.allCases where !inUnified.contains(controller) {
            // `cpu` is often a symbolic link to `cpu,cpuacct`.
            if HostFile.exists("\(mount)/\(controller)/cgroup.procs"),
                let folder = HostFile.resolved("\(mount)/\(controller)")
            {
                byFolder[folder, default: []].insert(controller)
            } else {
                missing.insert(controller)
            }
        }
        if unified != nil { missing.subtract([.freezer, .cpuacct]) }
        guard unified != nil || !missing.contains(.freezer) else {
            throw HostError(
                .unsupported,
                "neither cgroup v2 nor the v1 freezer is mounted here: processes could not be killed reliably",
                path: mount)
        }
        var hierarchies = byFolder.map { CgroupHierarchy(mount: $0, controllers: $1, isUnified: false) }
        hierarchies.sort {
            ($0.controllers.contains(.freezer) ? 0 : 1, $0.mount) < (
                $1.controllers.contains(.freezer) ? 0 : 1, $1.mount
            )
        }
        if let unified {
            hierarchies.insert(CgroupHierarchy(mount: unified, controllers: inUnified, isUnified: true), at: 0)
        }
        return CgroupLayout(hierarchies: hierarchies, missing: missing)
    }

    private static func unifiedControllers(at mount: String) -> Set<CgroupController> {
        let names = HostFile.trimmed("\(mount)/cgroup.controllers")?.split(separator: " ") ?? []
        return Set(names.compactMap { CgroupController(rawValue: String($0)) })
    }
}

extension CgroupController: CustomStringConvertible { public var description: String { rawValue } }
