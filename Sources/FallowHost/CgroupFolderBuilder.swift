internal import Glibc

/// Makes the tree's folders in one hierarchy, from the mount down, so that leases can be made in `<path>/leases`.
struct CgroupFolderBuilder {
    let hierarchy: CgroupHierarchy
    let components: [String]
    let share: CgroupShare
    /// Innermost first.
    private(set) var removableParents: [String] = []

    init(hierarchy: CgroupHierarchy, components: [String], share: CgroupShare) {
        self.hierarchy = hierarchy
        self.components = components
        self.share = share
    }

    mutating func build() throws(HostError) {
        var folder = hierarchy.mount
        for (depth, name) in (components + ["leases"]).enumerated() {
            if hierarchy.isUnified { try enableControllers(in: folder, isOurs: depth == components.count) }
            let parent = folder
            folder += "/\(name)"
            let made = try HostFile.makeFolder(folder)
            let isOurs = made || name.hasPrefix("fallow")
            if depth == 0 {
                guard isOurs else {
                    throw HostError(
                        .badRequest,
                        "the first folder of the cgroup path belongs to somebody else, and its weight is not ours to set: "
                            + "use one like fallow.slice", path: folder)
                }
                try CgroupWeight(hierarchy: hierarchy, folder: folder, atRest: share).lower()
            }
            // What lies in a folder of ours is ours too, whoever made it: a predecessor that was killed, say.
            if depth < components.count { removableParents.insert(folder, at: 0) }
            if !hierarchy.isUnified {
                if hierarchy.controllers.contains(.cpuset) { try inheritCpuset(from: parent, to: folder) }
                if hierarchy.controllers.contains(.memory) { useHierarchy(in: folder) }
            }
        }
        if hierarchy.isUnified { try enableControllers(in: folder, isOurs: false) }
    }

    /// A v1 cpuset takes no process before it has CPUs and memory nodes.
    private func inheritCpuset(from parent: String, to folder: String) throws(HostError) {
        for file in ["cpuset.cpus", "cpuset.mems"] where HostFile.trimmed("\(folder)/\(file)")?.isEmpty != false {
            try HostFile.write(HostFile.trimmed("\(parent)/\(file)") ?? "", to: "\(folder)/\(file)")
        }
    }

    /// Old kernels ask for it; new ones have nothing else. Refused where children exist already, which then have it.
    private func useHierarchy(in folder: String) {
        if HostFile.integer("\(folder)/memory.use_hierarchy") == 0 {
            _ = HostFile.tryWrite("1", to: "\(folder)/memory.use_hierarchy")
        }
    }

    /// Offers the controllers to the folder's children.
    private func enableControllers(in folder: String, isOurs: Bool) throws(HostError) {
        let file = "\(folder)/cgroup.subtree_control"
        let enabled = Set((HostFile.trimmed(file) ?? "").split(separator: " ").map { String($0) })
        let missing = hierarchy.controllers.filter { !enabled.contains($0.rawValue) }
        // Before the first one: cpu and pids are given to a folder that has processes, too, which makes it the root of a threaded
        // subtree, and such a one is refused memory (EOPNOTSUPP).
        if isOurs, !missing.isEmpty { try moveProcesses(from: folder) }
        for controller in missing {
            let text = "+\(controller.rawValue)"
            var failure = HostFile.tryWrite(text, to: file)
            if failure == EBUSY, isOurs {
                try moveProcesses(from: folder)
                failure = HostFile.tryWrite(text, to: file)
            }
            guard failure == 0 else {
                let reason =
                    failure == EBUSY
                    ? "cannot enable a cgroup controller while processes are directly in the folder: move them into one below"
                    : "cannot enable the cgroup controller \(controller)"
                throw .system(reason, path: file, failure)
            }
        }
    }

    /// The agent itself may have been started in the tree's own folder.
    private func moveProcesses(from folder: String) throws(HostError) {
        guard !readProcesses("\(folder)/cgroup.procs").isEmpty else { return }
        let agent = "\(folder)/agent"
        _ = try HostFile.makeFolder(agent)
        for _ in 0..<8 {
            let processes = readProcesses("\(folder)/cgroup.procs")
            if processes.isEmpty { return }
            for pid in processes {
                let failure = HostFile.tryWrite("\(pid)", to: "\(agent)/cgroup.procs")
                guard failure == 0 || failure == ESRCH else {
                    throw .system("cannot move process \(pid)", path: "\(agent)/cgroup.procs", failure)
                }
            }
        }
    }
}
