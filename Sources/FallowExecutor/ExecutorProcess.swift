internal import FallowTenant
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
    ///
    /// Until the assignment has come and, where it names a user, the process has become that user, there is one thread, and
    /// nothing of any user's is in here.
    /// - Parameters:
    ///   - controlDescriptor: one end of a `SOCK_SEQPACKET` pair whose other end the agent holds.
    ///   - prepares: the transport (its name in JSON) to load ahead while no assignment is there; nil: none.
    /// - Returns: the process's exit code (`TenantExit`).
    public static func run(controlDescriptor: Int32, prepares: String? = nil) -> Int32 {
        Temper.settle()
        let channel: ControlChannel
        do throws(WireError) {
            channel = try ControlChannel(descriptor: controlDescriptor)
        } catch {
            say(error.message)
            return TenantExit.noAssignment.rawValue
        }
        if let transport = prepares.flatMap(TransportKind.init(rawValue:)) { Preparation.run(transport, channel) }
        let assignment: ExecutorAssignment
        let descriptors: [Int32]
        do throws(WireError) {
            (assignment, descriptors) = try channel.receive(ExecutorAssignment.self)
        } catch {
            guard error.code != .unavailable else { return TenantExit.noAssignment.rawValue }
            say(error.message)
            channel.send(ExecutorReport(error: error))
            return TenantExit.unusable.rawValue
        }
        do throws(WireError) {
            return try serve(assignment, descriptors, channel).rawValue
        } catch {
            say(error.message)
            channel.send(ExecutorReport(error: error))
            return TenantExit.unusable.rawValue
        }
    }

    private static func serve(
        _ assignment: ExecutorAssignment, _ descriptors: [Int32], _ channel: ControlChannel
    ) throws(WireError) -> TenantExit {
        var clock = PhaseClock()
        if let entry = assignment.entry {
            try Entry.take(entry, cpus: assignment.cpus, leaseID: assignment.leaseID)
            clock.note("entering")
            channel.send(ExecutorReport(hasEntered: true))
        }
        try Lifeline.watch(channel.descriptor)
        try assignment.check(descriptorCount: descriptors.count)
        let library = try FunctionLibrary(descriptor: descriptors[0], name: assignment.libraryName)
        clock.note("loading")
        let crew = Crew(assignment: assignment, library: library)
        switch assignment.transport {
        case .shm:
            try crew.start(arena: descriptors[1])
            clock.note("attaching")
            channel.send(ExecutorReport(microseconds: clock.microseconds))
        case .fabric:
            let doors = try crew.listen()
            clock.note("listening")
            channel.send(
                ExecutorReport(
                    address: doors.fabric.address, verbsAddress: doors.verbs?.address,
                    verbsComplaint: doors.verbsComplaint, microseconds: clock.microseconds))
            try crew.accept(from: doors)
        case .verbs: throw WireError(.invalid, "verbs is offered beside fabric, not alone")
        case .stream: throw WireError(.invalid, "stream is for memory")
        }
        return crew.join()
    }

    private static func say(_ message: String) {
        _ = "fallow-executor: \(message)\n".withCString { write(2, $0, strlen($0)) }
    }
}
