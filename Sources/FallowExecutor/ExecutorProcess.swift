internal import FallowTenant
internal import FallowTransport
internal import FallowWire
internal import Glibc
internal import TransportFabric
internal import TransportShm

/// The life of a fallow-executor: become a user, take an assignment, load the library, connect the workers, report, serve.
///
/// A function that crashes takes the process with it; the agent sees that and tells the callers. Nothing here enforces
/// limits or terms: the lease's cgroup and the agent do.
public enum ExecutorProcess {
    /// Runs in this process until the client has left; meanwhile the end of the control socket ends the process.
    ///
    /// Until the process has become its user there is one thread, and until the assignment has come nothing of any user's
    /// is in here.
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
        do throws(WireError) {
            return try obey(channel).rawValue
        } catch {
            say(error.message)
            channel.send(ExecutorReport(error: error))
            return TenantExit.unusable.rawValue
        }
    }

    private static func obey(_ channel: ControlChannel) throws(WireError) -> TenantExit {
        var clock = PhaseClock()
        while let (order, descriptors) = try next(channel) {
            clock.begin()
            switch order {
            case .become(let entry):
                try Entry.take(entry)
                clock.note("entering")
                channel.send(ExecutorReport(hasEntered: true))
            case .serve(let assignment): return try serve(assignment, descriptors, channel, &clock)
            }
        }
        return .noAssignment
    }

    /// What the agent says next; nil when it has left.
    private static func next(_ channel: ControlChannel) throws(WireError) -> (ExecutorOrder, descriptors: [Int32])? {
        do throws(WireError) {
            return try channel.receive(ExecutorOrder.self)
        } catch {
            guard error.code == .unavailable else { throw error }
            return nil
        }
    }

    private static func serve(
        _ assignment: ExecutorAssignment, _ descriptors: [Int32], _ channel: ControlChannel, _ clock: inout PhaseClock
    ) throws(WireError) -> TenantExit {
        try Entry.belong(to: assignment.leaseID, on: assignment.cpus)
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
