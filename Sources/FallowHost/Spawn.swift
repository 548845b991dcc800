internal import CLinux
internal import FallowModel
internal import Glibc

/// Starts a process in its cgroups, namespaces, limits and identity. Blocks until the executable runs or it has failed, at most for the
/// request's deadline and a second.
///
/// - Throws: `.badRequest`, or what the failing step met (its sentence names the step). Nothing is left running then.
public func spawn(_ request: SpawnRequest) throws(HostError) -> SpawnedProcess {
    try check(request)
    let arguments = CStrings([request.executable] + request.arguments)
    let environment = CStrings(request.environment.map { "\($0.key)=\($0.value)" }.sorted())
    let cgroups = CStrings(request.cgroups)
    var devices: [String] = []
    if case .namespacesAndDevices(let keeping) = request.isolation { devices = keeping }
    let deviceFiles = CStrings(devices)
    let limits = resourceLimits(request.limits)
    let descriptors = request.descriptors.sorted { $0.key < $1.key }
        .map { clinux_spawn_descriptor(ours: $0.value, theirs: $0.key) }
    let groups = request.identity?.groups ?? []

    var failure = clinux_spawn_failure()
    let child = limits.withUnsafeBufferPointer { limits in
        descriptors.withUnsafeBufferPointer { descriptors in
            groups.withUnsafeBufferPointer { groups in
                request.executable.withCString { executable in
                    request.workingDirectory.withCString { directory in
                        var raw = clinux_spawn_request()
                        raw.executable = executable
                        raw.directory = directory
                        raw.arguments = UnsafePointer(arguments.pointer)
                        raw.environment = UnsafePointer(environment.pointer)
                        raw.cgroups = cgroups.constantPointer
                        raw.cgroup_count = cgroups.count
                        raw.identity.devices = deviceFiles.constantPointer
                        raw.identity.device_count = deviceFiles.count
                        raw.descriptors = descriptors.baseAddress
                        raw.descriptor_count = descriptors.count
                        raw.identity.limits = limits.baseAddress
                        raw.identity.limit_count = limits.count
                        raw.identity.groups = groups.baseAddress
                        raw.identity.group_count = groups.count
                        raw.identity.change_identity = request.identity == nil ? 0 : 1
                        raw.identity.uid = request.identity?.uid.number ?? 0
                        raw.identity.gid = request.identity?.gid ?? 0
                        raw.identity.private_namespaces = request.isolation == .none ? 0 : 1
                        if case .namespacesAndDevices = request.isolation { raw.identity.private_devices = 1 }
                        raw.oom_score_adjustment = Int32(request.oomScoreAdjustment)
                        raw.deadline_milliseconds = Int32(clamping: request.deadline.nanoseconds / 1_000_000)
                        return clinux_spawn(&raw, &failure)
                    }
                }
            }
        }
    }
    withExtendedLifetime((arguments, environment, cgroups, deviceFiles)) {}
    guard child > 0 else { throw explain(failure, request, devices) }
    return SpawnedProcess(pid: child, descriptor: max(-1, clinux_pidfd_open(child)))
}

private func check(_ request: SpawnRequest) throws(HostError) {
    func refuse(_ sentence: String) -> HostError { HostError(.badRequest, sentence, path: request.executable) }
    guard request.executable.hasPrefix("/") else { throw refuse("the executable must be an absolute path") }
    let texts =
        [request.executable, request.workingDirectory] + request.arguments + request.cgroups
        + request.environment.flatMap { [$0.key, $0.value] }
    guard !texts.contains(where: { $0.utf8.contains(0) }) else {
        throw refuse("neither paths, arguments nor the environment may hold a zero byte")
    }
    guard !request.environment.keys.contains(where: { $0.isEmpty || $0.contains("=") }) else {
        throw refuse("the name of an environment variable must not be empty or hold '='")
    }
    guard request.descriptors.count <= 256, request.descriptors.keys.allSatisfy({ (0..<4096).contains($0) }) else {
        throw refuse("at most 256 descriptors can be passed, as numbers 0 to 4095")
    }
    guard (-1000...1000).contains(request.oomScoreAdjustment) else {
        throw refuse("the OOM score adjustment must be within -1000 ... 1000, not \(request.oomScoreAdjustment)")
    }
    guard request.limits.openFiles >= 16 else { throw refuse("a process needs at least 16 open files") }
}

private func resourceLimits(_ limits: SpawnRequest.Limits) -> [clinux_spawn_limit] {
    func limit(_ resource: clinux_limit, _ value: UInt64) -> clinux_spawn_limit {
        clinux_spawn_limit(resource: Int32(resource.rawValue), soft: value, hard: value)
    }
    var all = [limit(CLINUX_LIMIT_CORE, 0), limit(CLINUX_LIMIT_NOFILE, UInt64(limits.openFiles))]
    all.append(clinux_spawn_limit(resource: Int32(CLINUX_LIMIT_STACK.rawValue), soft: 8 << 20, hard: .max))
    if let size = limits.fileSize { all.append(limit(CLINUX_LIMIT_FSIZE, UInt64(max(0, size.bytes)))) }
    if limits.unlimitedLockedMemory { all.append(limit(CLINUX_LIMIT_MEMLOCK, .max)) }
    if let count = limits.userProcesses { all.append(limit(CLINUX_LIMIT_NPROC, UInt64(max(0, count)))) }
    return all
}

private func explain(
    _ failure: clinux_spawn_failure, _ request: SpawnRequest, _ devices: [String]
) -> HostError {
    let detail = Int(failure.detail)
    func item(_ list: [String]) -> String { list.indices.contains(detail) ? list[detail] : "the standard ones" }
    let start = "cannot start '\(request.executable)': "
    let identity = request.identity.map { "\($0.name) (\($0.uid))" } ?? "-"
    let (sentence, path): (String, String?) =
        switch Int(failure.step) {
        case Int(CLINUX_STEP_CGROUP.rawValue):
            ("the process could not enter its cgroup", item(request.cgroups))
        case Int(CLINUX_STEP_SESSION.rawValue): ("no new session", nil)
        case Int(CLINUX_STEP_OOM_SCORE.rawValue): ("its OOM score cannot be set", nil)
        case Int(CLINUX_STEP_SCHEDULER.rawValue): ("ordinary scheduling cannot be set", nil)
        case Int(CLINUX_STEP_THREADS.rawValue): ("it has more than one thread", nil)
        case Int(CLINUX_STEP_NAMESPACE.rawValue): ("it cannot have mount and IPC namespaces of its own", nil)
        case Int(CLINUX_STEP_DEVICES.rawValue): ("it cannot have a /dev of its own", item(devices))
        case Int(CLINUX_STEP_LIMIT.rawValue): ("a resource limit is refused: more than our own hard limit?", nil)
        case Int(CLINUX_STEP_DESCRIPTOR.rawValue): ("its descriptors cannot be arranged", nil)
        case Int(CLINUX_STEP_GROUPS.rawValue), Int(CLINUX_STEP_GID.rawValue), Int(CLINUX_STEP_UID.rawValue):
            ("it cannot become the user \(identity)", nil)
        case Int(CLINUX_STEP_KEYRING.rawValue): ("it cannot have a session keyring of its own", nil)
        case Int(CLINUX_STEP_CAPABILITIES.rawValue): ("its capabilities cannot be given up", nil)
        case Int(CLINUX_STEP_DUMPABLE.rawValue): ("it cannot be closed to other processes of its user", nil)
        case Int(CLINUX_STEP_PRIVILEGES.rawValue): ("no_new_privs cannot be set", nil)
        case Int(CLINUX_STEP_DIRECTORY.rawValue):
            ("its working directory cannot be entered", request.workingDirectory)
        case Int(CLINUX_STEP_EXECUTE.rawValue): ("it cannot be executed", nil)
        case Int(CLINUX_STEP_DEADLINE.rawValue): ("it did not run within \(request.deadline)", nil)
        default: ("no process could be made", nil)
        }
    return .system(start + sentence, path: path, failure.error)
}

/// A null-terminated array of C strings that lives as long as this object.
private final class CStrings {
    let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointer = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { (pointer + index).initialize(to: strdup(string)) }
        (pointer + count).initialize(to: nil)
    }
    deinit {
        for index in 0..<count { free(pointer[index]) }
        pointer.deallocate()
    }

    var constantPointer: UnsafePointer<UnsafePointer<CChar>?> {
        UnsafeRawPointer(pointer).assumingMemoryBound(to: UnsafePointer<CChar>?.self)
    }
}
