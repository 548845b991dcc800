internal import CLinux
internal import FallowConfiguration
internal import FallowDiagnosis
internal import FallowModel
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What this machine's kernel and disks offer.
struct MachineCheckup {
    let settings: Settings

    func findings() -> [Finding] {
        var findings = cgroups()
        if !FileManager.default.fileExists(atPath: "/proc/pressure/memory") {
            findings.append(
                Finding(.warning, "pressure", "this kernel tells no pressure (PSI)", mend: "boot with psi=1"))
        }
        let error = clinux_userfaultfd_probe()
        findings.append(MachineFindings.userfault(error, words: String(cString: strerror(error))))
        findings.append(room(settings.stateDirectory, of: "libraries of users and the history"))
        findings.append(room(settings.runtimeDirectory, of: "sockets"))
        return findings
    }

    private func cgroups() -> [Finding] {
        let (files, mount) = (FileManager.default, settings.cgroupMount)
        if let offered = SlurmCheckup.text(mount + "/cgroup.controllers") {
            let names = Set(offered.split(whereSeparator: \.isWhitespace).map { String($0) })
            return [MachineFindings.controllers(names, isUnified: true) ?? Finding(.good, "cgroups", "v2")]
        }
        let names = ["cpu", "memory", "pids", "cpuset", "freezer"].filter {
            files.fileExists(atPath: "\(mount)/\($0)/cgroup.procs")
        }
        guard !names.isEmpty else {
            return [
                Finding(
                    .broken, "cgroups", "neither v1 nor v2 is mounted at \(mount)",
                    mend: "mount them, or set cgroup.mount")
            ]
        }
        let hybrid = files.fileExists(atPath: mount + "/unified/cgroup.procs")
        return [
            MachineFindings.controllers(Set(names), isUnified: false)
                ?? Finding(.good, "cgroups", hybrid ? "v1, with v2 beside it" : "v1")
        ]
    }

    /// Of the folder, or of the nearest one above that is there already.
    private func room(_ folder: String, of use: String) -> Finding {
        var path = folder
        var status = statvfs()
        while statvfs(path, &status) != 0 {
            guard errno == ENOENT, let slash = path.lastIndex(of: "/"), path != "/" else {
                return MachineFindings.room(folder, of: use, free: nil)
            }
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
        let free = Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
        return MachineFindings.room(folder, of: use, free: ByteCount(free))
    }
}
