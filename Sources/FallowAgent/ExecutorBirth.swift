internal import FallowConfiguration
internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowWire
internal import Glibc

/// A fallow-executor just started: as root, with nothing of any user in it, in a cgroup of its own in which it stays.
struct BornExecutor: Sendable {
    var cgroup: LeaseCgroup
    var process: SpawnedProcess
    /// Our end of its control socket, at whose other end it waits.
    var control: LocalConnection
    /// The reading end of its standard output and error, the owner's to close.
    var output: Int32
}

/// How executors come into the world, the same for those that wait for a lease and those that have one waiting.
struct ExecutorBirth: Sendable {
    let tree: CgroupTree
    let executorPath: String

    /// Makes the cgroup, starts the process in it. Blocks until it runs: on a thread of its own, for under cgroup v1 entering a
    /// cgroup waits for every CPU (an RCU grace period, milliseconds).
    /// - Parameter transport: what it loads ahead of its lease; nil: nothing.
    /// - Throws: why there is none; nothing is left behind then.
    func start(preparing transport: TransportKind?) throws -> BornExecutor {
        let hurry = tree.hurry()
        defer { hurry.end() }
        let cgroup = try tree.create(LeaseID(.random(in: 1 ... .max)))
        do {
            let (ours, theirs) = try LocalConnection.pair(type: .seqpacket)
            defer { theirs.close() }
            let (reader, writer) = try OutputTail.makePipe()
            defer { close(writer) }
            do {
                return BornExecutor(
                    cgroup: cgroup, process: try spawn(request(cgroup, theirs.descriptor, writer, transport)),
                    control: ours, output: reader)
            } catch {
                close(reader)
                throw error
            }
        } catch {
            cgroup.kill()
            try? cgroup.remove()
            throw error
        }
    }

    private func request(
        _ cgroup: LeaseCgroup, _ control: Int32, _ output: Int32, _ transport: TransportKind?
    ) -> SpawnRequest {
        SpawnRequest(
            executable: executorPath, arguments: transport.map { ["--prepare", $0.rawValue] } ?? [],
            environment: [
                "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1",
                "SWIFT_BACKTRACE": "enable=no",
            ],
            descriptors: [1: output, 2: output, 3: control], cgroups: cgroup.paths)
    }
}
