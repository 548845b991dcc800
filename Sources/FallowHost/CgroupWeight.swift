/// How much CPU time our top-level folder gets beside jobs.
public enum CgroupShare: String, Sendable {
    /// The least there is (v2: idle; v1: 2 shares): what a node that runs jobs needs.
    case lowest
    /// As much as any other folder: for virtual nodes, whose cores are not the machine's.
    case ordinary
}

/// How much CPU time a folder gets beside its siblings.
struct CgroupWeight: Sendable {
    let hierarchy: CgroupHierarchy
    let folder: String
    /// What the folder has at rest.
    var atRest = CgroupShare.lowest

    private var applies: Bool { hierarchy.controllers.contains(.cpu) }

    /// Back to the weight at rest: with the lowest there is, jobs get what they ask for, and we what is left.
    func lower() throws(HostError) {
        guard applies else { return }
        guard atRest == .lowest else { return try equalize() }
        if hierarchy.isUnified {
            // cpu.idle (Linux 5.15) is still less than the weight 1.
            if HostFile.tryWrite("1", to: "\(folder)/cpu.idle") != 0 {
                try HostFile.write("1", to: "\(folder)/cpu.weight")
            }
        } else {
            try HostFile.write("2", to: "\(folder)/cpu.shares")
        }
    }

    /// As much as any other folder.
    func equalize() throws(HostError) {
        guard applies else { return }
        if hierarchy.isUnified {
            // Refused by kernels before 5.15, which have no cpu.idle to undo.
            _ = HostFile.tryWrite("0", to: "\(folder)/cpu.idle")
            try HostFile.write("100", to: "\(folder)/cpu.weight")
        } else {
            try HostFile.write("1024", to: "\(folder)/cpu.shares")
        }
    }

    /// More than the ordinary weight. Dying takes CPU time too: with the lowest weight, beside busy jobs, a killed process
    /// holds its memory and its core for hundreds of milliseconds.
    func raise() {
        guard applies else { return }
        if hierarchy.isUnified {
            _ = HostFile.tryWrite("0", to: "\(folder)/cpu.idle")
            _ = HostFile.tryWrite("10000", to: "\(folder)/cpu.weight")
        } else {
            _ = HostFile.tryWrite("262144", to: "\(folder)/cpu.shares")
        }
    }

    /// No quota any more: a throttled process cannot even die before the next period (kernels before 6.18).
    func liftQuota() {
        guard applies else { return }
        _ = HostFile.tryWrite(
            hierarchy.isUnified ? "max" : "-1", to: "\(folder)/\(hierarchy.isUnified ? "cpu.max" : "cpu.cfs_quota_us")")
    }
}
