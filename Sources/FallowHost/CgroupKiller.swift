internal import Glibc

/// Kills and freezes one folder of the hierarchy that can, everything below it included.
struct CgroupKiller: Sendable {
    let folder: String
    let isUnified: Bool

    var isEmpty: Bool {
        if isUnified {
            guard let text = HostFile.readIfPresent("\(folder)/cgroup.events") else { return true }
            return HostFile.value(of: "populated", in: text) == 0
        }
        return processes().isEmpty
    }

    /// Every process below the folder.
    func processes() -> [Int32] {
        var found = readProcesses("\(folder)/cgroup.procs")
        for name in HostFile.names(in: folder) where LeaseFolder.isLease(name) {
            found += readProcesses("\(folder)/\(name)/cgroup.procs")
        }
        return found
    }

    func freeze() throws(HostError) {
        if isUnified {
            try HostFile.write("1", to: "\(folder)/cgroup.freeze")
        } else {
            try HostFile.write("FROZEN", to: "\(folder)/freezer.state")
        }
    }

    func thaw() throws(HostError) {
        if isUnified {
            try HostFile.write("0", to: "\(folder)/cgroup.freeze")
        } else {
            try HostFile.write("THAWED", to: "\(folder)/freezer.state")
        }
    }

    /// Sends SIGKILL to every process that is in it now, but to those of `signalled`, and adds them there.
    ///
    /// Takes no lock of the kernel's that a migration holds: `cgroup.kill` waits for cgroup_mutex, which a process that joins a
    /// cgroup elsewhere on the node may hold for an RCU grace period (15 to 23 ms).
    ///
    /// - Returns: how many were signalled that had not been.
    func signal(except signalled: inout Set<Int32>) -> Int {
        var count = 0
        for pid in processes() where signalled.insert(pid).inserted {
            Glibc.kill(pid, SIGKILL)
            count += 1
        }
        return count
    }

    /// Kills everything: by cgroup.kill (Linux 5.14), else all that a freeze holds still. What escaped the freeze by forking at
    /// that moment is caught when this is called again, as every wait for emptiness does. May block for tens of milliseconds
    /// while processes join cgroups elsewhere on the node.
    func kill() {
        if isUnified, HostFile.tryWrite("1", to: "\(folder)/cgroup.kill") == 0 { return }
        try? freeze()
        waitFrozen()
        for pid in processes() { Glibc.kill(pid, SIGKILL) }
        // v1 delivers the signal only to the thawed; v2 needs no thaw but must not stay frozen for what comes next.
        try? thaw()
    }

    /// Freezing takes effect when the processes next leave the kernel; at most 2 ms are waited for it.
    private func waitFrozen() {
        let deadline = monotonicNanoseconds() + 2_000_000
        while monotonicNanoseconds() < deadline {
            if isUnified {
                let text = HostFile.readIfPresent("\(folder)/cgroup.events") ?? ""
                if HostFile.value(of: "frozen", in: text) != 0 { return }
            } else if HostFile.trimmed("\(folder)/freezer.state") != "FREEZING" {
                return
            }
            sleep(microseconds: 50)
        }
    }
}

/// The names of leases' folders: the lease's 16 hexadecimal digits.
enum LeaseFolder {
    static func isLease(_ name: String) -> Bool { name.utf8.count == 16 && name.allSatisfy(\.isHexDigit) }
}
