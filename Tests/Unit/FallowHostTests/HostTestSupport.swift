import FallowHost
import FallowModel
import Glibc
import Logging
import Synchronization
import Testing

/// Tests on real cgroups and real identities need root.
let isRoot = geteuid() == 0
let needsRoot: Comment = "needs root: real cgroups, mounts and identities"

private let treeNumber = Atomic<Int>(0)

/// A tree of its own under a unique top-level folder, removed when the body ends.
///
/// With the lowest weight a lease hardly runs while the machine is busy with something else, as it should; here it gets an ordinary
/// one, so that a test's time does not depend on that.
func withTree<Result>(mode: CgroupMode, keepLowestWeight: Bool = false, _ body: (CgroupTree) throws -> Result) throws
    -> Result
{
    let number = treeNumber.wrappingAdd(1, ordering: .relaxed).newValue
    let tree = try CgroupTree(
        path: "fallow-test-\(getpid())-\(number)/node", mode: mode,
        requires: mode == .v2 ? [] : [.cpu, .memory, .pids],
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    if !keepLowestWeight { useOrdinaryWeight(tree) }
    do {
        let result = try body(tree)
        try tree.destroy()
        return result
    } catch {
        try? tree.destroy()
        throw error
    }
}

func useOrdinaryWeight(_ tree: CgroupTree) {
    guard let top = tree.path.split(separator: "/").first else { return }
    for (file, text) in [("cpu/\(top)/cpu.shares", "1024"), ("\(top)/cpu.idle", "0"), ("\(top)/cpu.weight", "100")]
    where access("/sys/fs/cgroup/\(file)", W_OK) == 0 {
        writeFile(text, to: "/sys/fs/cgroup/\(file)")
    }
}

/// The modes that this machine must be able to do.
let modes: [CgroupMode] = {
    var modes: [CgroupMode] = [.automatic]
    if access("/sys/fs/cgroup/freezer/cgroup.procs", F_OK) == 0 { modes.append(.v1) }
    if access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) == 0 { modes.append(.v2) }
    return modes
}()

extension LeaseLimits {
    static let ample = LeaseLimits(memory: .mebibytes(256), processes: 200)
}

/// Reaps a child that a test started, killing it if need be.
func finish(_ process: SpawnedProcess) -> Int32 {
    var status: Int32 = 0
    kill(process.pid, SIGKILL)
    waitpid(process.pid, &status, 0)
    if process.descriptor >= 0 { close(process.descriptor) }
    return status
}

/// Waits for the end of a child, at most ten seconds; kills it then.
func waitForEnd(_ process: SpawnedProcess) -> Int32? {
    for _ in 0..<2000 {
        var status: Int32 = 0
        if waitpid(process.pid, &status, WNOHANG) == process.pid {
            if process.descriptor >= 0 { close(process.descriptor) }
            return status
        }
        usleep(5000)
    }
    _ = finish(process)
    return nil
}

func exitCode(_ status: Int32?) -> Int32? { status.flatMap { $0 & 0x7f == 0 ? ($0 >> 8) & 0xff : nil } }
func endingSignal(_ status: Int32?) -> Int32? { status.flatMap { $0 & 0x7f == 0 ? nil : $0 & 0x7f } }

/// A folder for one test, removed afterwards.
func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/tmp/fallow-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw HostError(.system, "mkdtemp", errorNumber: errno) }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { removeAll(folder) }
    return try body(folder)
}

private func removeAll(_ path: String) {
    if let folder = opendir(path) {
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { removeAll("\(path)/\(name)") }
        }
        closedir(folder)
    }
    remove(path)
}

/// The text of a file, nil when it cannot be read.
func contents(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return String(decoding: bytes, as: UTF8.self)
}

func writeFile(_ text: String, to path: String) {
    let file = fopen(path, "w")!
    fputs(text, file)
    fclose(file)
}
func makeFolders(_ path: String) {
    var made = ""
    for part in path.split(separator: "/") {
        made += "/\(part)"
        mkdir(made, 0o755)
    }
}

/// Runs a shell script to its end, its output going to a file in the folder.
/// - Returns: the wait status and what it printed.
func runShell(_ script: String, in folder: String, _ change: (inout SpawnRequest) -> Void = { _ in }) throws
    -> (status: Int32?, output: String)
{
    let output = open("\(folder)/output", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    defer { close(output) }
    var request = SpawnRequest(
        executable: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"])
    request.descriptors = [1: output, 2: output]
    change(&request)
    let status = waitForEnd(try spawn(request))
    return (status, contents("\(folder)/output") ?? "")
}

func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

/// Waits until the condition holds, at most ten seconds: a lease has the lowest weight, and the machine may be busy.
func eventually(_ condition: () -> Bool) -> Bool {
    let deadline = monotonicSeconds() + 10
    while !condition() {
        if monotonicSeconds() > deadline { return false }
        usleep(1000)
    }
    return true
}

/// What shares the machine's cgroups and CPUs runs one after another.
@Suite("leases", .enabled(if: isRoot, needsRoot), .serialized) struct LeaseTests {}
