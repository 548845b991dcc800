internal import CLinux
package import FallowModel
package import FallowWire
internal import Glibc

/// How a process that fallowd started becomes whom it is to be: an executor its user, a donor the donors' user.
///
/// Nothing of the user's has run in it before, and nothing of ours runs with more than the user's rights afterwards. The order
/// is written down in docs/architecture.md.
package enum Entry {
    /// Becomes the user, within its limits. Call it while this thread is the only one.
    /// - Throws: `.internalError` with the step that failed. The process must end then: it is neither root's nor the user's.
    package static func take(_ entry: ExecutorEntry) throws(WireError) {
        guard entry.uid != .root else { throw WireError(.refused, "nothing of a lease runs as root") }
        try checkCgroups(entry.cgroups, own: ownCgroups())
        var failure = clinux_spawn_failure()
        let result = withIdentity(entry) { clinux_identity_take($0, &failure) }
        guard result == 0 else {
            throw WireError(
                .internalError,
                "the process cannot become its user: \(step(failure)): \(String(cString: strerror(failure.error)))")
        }
        for (name, value) in [("HOME", entry.home), ("USER", entry.name), ("LOGNAME", entry.name)] {
            setenv(name, value, 1)
        }
        // With the user's own rights: root may not be able to enter a home on NFS.
        guard chdir("/") == 0 else { throw WireError(.internalError, "the process cannot enter '/'") }
    }

    /// Makes the process one of the lease. Call it before anything of the lease runs, and after `take`: the lease is known last.
    /// - Parameter cpus: where this thread, and what it starts, may run; empty: wherever the process may.
    /// - Throws: `.internalError` where one of the CPUs is not for this process.
    package static func belong(to leaseID: LeaseID, on cpus: MachineCPUSet = .init()) throws(WireError) {
        setenv("FALLOW_LEASE", "\(leaseID)", 1)
        guard !cpus.isEmpty else { return }
        let result = kernelMask(cpus).withUnsafeBufferPointer { clinux_thread_pin($0.baseAddress!, $0.count) }
        guard result == 0 else {
            throw WireError(
                .internalError, "the process cannot be kept on CPU \(cpus): \(String(cString: strerror(-result)))")
        }
    }

    /// Whether the process is where its limits are: in the lease's cgroup of every hierarchy that the agent uses.
    /// - Parameters:
    ///   - expected: a controller's name, or nothing for cgroup v2, and how the path ends.
    ///   - own: the text of /proc/self/cgroup.
    package static func checkCgroups(_ expected: [String: String], own: String) throws(WireError) {
        var paths: [Substring: Substring] = [:]
        for line in own.split(separator: "\n") {
            // 4:cpu,cpuacct:/path - the path itself may hold colons.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for controller in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                paths[controller] = parts[2]
            }
        }
        guard !expected.isEmpty else { throw WireError(.internalError, "the agent named no cgroup to be in") }
        for (controller, end) in expected.sorted(by: { $0.key < $1.key }) {
            guard let path = paths[controller[...]], path.hasSuffix(end) else {
                throw WireError(
                    .internalError,
                    "the process is not in its lease's cgroup: '\(controller)' is "
                        + "'\(paths[controller[...]] ?? "missing")' instead of '…\(end)'")
            }
        }
    }

    private static func ownCgroups() -> String {
        let file = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: text, as: UTF8.self) }
            text += buffer[..<count]
        }
    }

    private static func withIdentity(
        _ entry: ExecutorEntry, _ body: (UnsafePointer<clinux_identity>) -> Int32
    ) -> Int32 {
        let limits = limits(entry)
        // Never freed: they are few, and the process takes one identity.
        let devices = entry.devices.map { UnsafePointer<CChar>(strdup($0)) }
        return limits.withUnsafeBufferPointer { limits in
            devices.withUnsafeBufferPointer { devices in
                entry.groups.withUnsafeBufferPointer { groups in
                    var identity = clinux_identity()
                    identity.devices = devices.baseAddress
                    identity.device_count = devices.count
                    identity.limits = limits.baseAddress
                    identity.limit_count = limits.count
                    identity.groups = groups.baseAddress
                    identity.group_count = groups.count
                    identity.uid = entry.uid.number
                    identity.gid = entry.gid
                    identity.change_identity = 1
                    identity.private_namespaces = 1
                    identity.private_devices = 1
                    return body(&identity)
                }
            }
        }
    }

    private static func limits(_ entry: ExecutorEntry) -> [clinux_spawn_limit] {
        func limit(_ resource: clinux_limit, _ soft: UInt64, hard: UInt64? = nil) -> clinux_spawn_limit {
            clinux_spawn_limit(resource: Int32(resource.rawValue), soft: soft, hard: hard ?? soft)
        }
        var all = [
            limit(CLINUX_LIMIT_CORE, 0), limit(CLINUX_LIMIT_NOFILE, UInt64(entry.openFiles)),
            limit(CLINUX_LIMIT_STACK, 8 << 20, hard: .max),
        ]
        if let size = entry.fileSize { all.append(limit(CLINUX_LIMIT_FSIZE, UInt64(max(0, size.bytes)))) }
        if entry.unlimitedLockedMemory { all.append(limit(CLINUX_LIMIT_MEMLOCK, .max)) }
        return all
    }

    private static func kernelMask(_ cpus: MachineCPUSet) -> [UInt8] {
        var mask = [UInt8](repeating: 0, count: ((cpus.reduce(0, Swift.max) / 64) + 1) * 8)
        for cpu in cpus { mask[cpu / 8] |= 1 << UInt8(cpu % 8) }  // little-endian words, as on every CPU we support
        return mask
    }

    private static func step(_ failure: clinux_spawn_failure) -> String {
        switch Int(failure.step) {
        case Int(CLINUX_STEP_THREADS.rawValue): "it has more than one thread"
        case Int(CLINUX_STEP_NAMESPACE.rawValue): "it cannot have namespaces of its own"
        case Int(CLINUX_STEP_DEVICES.rawValue): "it cannot have a /dev of its own"
        case Int(CLINUX_STEP_LIMIT.rawValue): "a resource limit is refused"
        case Int(CLINUX_STEP_KEYRING.rawValue): "it cannot have a session keyring of its own"
        case Int(CLINUX_STEP_CAPABILITIES.rawValue): "its capabilities cannot be given up"
        case Int(CLINUX_STEP_GROUPS.rawValue), Int(CLINUX_STEP_GID.rawValue), Int(CLINUX_STEP_UID.rawValue):
            "it cannot become its user"
        case Int(CLINUX_STEP_PRIVILEGES.rawValue): "no_new_privs cannot be set"
        default: "it cannot be closed to other processes of its user"
        }
    }
}
