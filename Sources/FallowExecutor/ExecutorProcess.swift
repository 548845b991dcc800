internal import FallowTransport
internal import FallowWire
internal import Glibc
internal import TransportFabric
internal import TransportShm

/// The life of a fallow-executor: take an assignment, load the library, connect the workers, report, serve.
///
/// A function that crashes takes the process with it; the agent sees that and tells the callers. Nothing here enforces
/// limits or terms: the lease's cgroup and the agent do.
public enum ExecutorProcess {
    /// Runs in this process until the client has left; meanwhile the end of the control socket ends the process.
    /// - Parameter controlDescriptor: one end of a `SOCK_SEQPACKET` pair whose other end the agent holds.
    /// - Returns: the process's exit code (`ExecutorExit`).
    public static func run(controlDescriptor: Int32) -> Int32 {
        // What functions print goes to a bounded file or pipe: when that is full or gone, printing fails, and no more.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        // A crash is heard of when the process is gone: neither Swift's backtracer (a second) nor a core file comes first.
        for crash in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGQUIT] { signal(crash, SIG_DFL) }
        var noCore = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &noCore)
        let channel: ControlChannel
        do throws(WireError) {
            channel = try ControlChannel(descriptor: controlDescriptor)
        } catch {
            say(error.message)
            return ExecutorExit.noAssignment.rawValue
        }
        do throws(WireError) {
            let (assignment, descriptors) = try channel.receiveAssignment(timeout: .seconds(10))
            try Lifeline.watch(channel.descriptor)
            try assignment.check(descriptorCount: descriptors.count)
            let library = try FunctionLibrary(descriptor: descriptors[0], name: assignment.libraryName)
            let crew = Crew(assignment: assignment, library: library)
            switch assignment.transport {
            case .shm:
                try crew.start(arena: descriptors[1])
                channel.send(ExecutorReport())
            case .fabric:
                let doors = try crew.listen()
                channel.send(
                    ExecutorReport(
                        address: doors.fabric.address, verbsAddress: doors.verbs?.address,
                        verbsComplaint: doors.verbsComplaint))
                try crew.accept(from: doors)
            case .verbs: throw WireError(.invalid, "verbs is offered beside fabric, not alone")
            }
            return crew.join().rawValue
        } catch {
            say(error.message)
            channel.send(ExecutorReport(error: error))
            return ExecutorExit.unusable.rawValue
        }
    }

    private static func say(_ message: String) {
        _ = "fallow-executor: \(message)\n".withCString { write(2, $0, strlen($0)) }
    }
}
