internal import FallowModel
internal import FallowTenant
internal import FallowTransport
internal import FallowWire
internal import Glibc
internal import TransportShm
internal import TransportStream
internal import TransportVerbs

/// The life of a fallow-donor: take an assignment, become the donors' user, have the memory allocated, report, be there.
///
/// Over shared memory it serves nobody: it is there so that the memory is charged to its cgroup, and goes when that is
/// killed. One thread, nothing mapped. Over a network it listens, and serves its borrower.
/// Limits and terms are the cgroup's and the agent's.
public enum DonorProcess {
    /// Runs in this process until the agent's end of the control socket closes.
    ///
    /// - Parameter controlDescriptor: one end of a `SOCK_SEQPACKET` pair whose other end the agent holds.
    /// - Returns: the process's exit code (`TenantExit`).
    public static func run(controlDescriptor: Int32) -> Int32 {
        Temper.settle()
        let channel: ControlChannel
        do throws(WireError) {
            channel = try ControlChannel(descriptor: controlDescriptor)
        } catch {
            say(error.message)
            return TenantExit.noAssignment.rawValue
        }
        do throws(WireError) {
            let (assignment, descriptors) = try channel.receive(DonorAssignment.self)
            return try serve(assignment, descriptors, channel).rawValue
        } catch {
            guard error.code != .unavailable else { return TenantExit.noAssignment.rawValue }
            say(error.message)
            channel.send(ExecutorReport(error: error))
            return TenantExit.unusable.rawValue
        }
    }

    private static func serve(
        _ assignment: DonorAssignment, _ descriptors: [Int32], _ channel: ControlChannel
    ) throws(WireError) -> TenantExit {
        guard descriptors.count == 1 else {
            throw WireError(
                .invalid, "a donor's assignment carries its memory file, not \(descriptors.count) descriptors")
        }
        try Entry.take(assignment.entry)
        try Entry.belong(to: assignment.leaseID)
        channel.send(ExecutorReport(hasEntered: true))
        let began = ContinuousClock.now
        let memory: DonorMemory
        var mapping: DonorMapping?
        do throws(ShmArenaError) {
            memory = try DonorMemory(adopting: descriptors[0], capacityBytes: assignment.capacityBytes)
            mapping = try Allocation.run(memory, assignment, channel)
        } catch { throw WireError(.internalError, "the donor's memory: \(error)") }
        let spent = ContinuousClock.now - began
        let report = ExecutorReport(microseconds: ["allocating": Int(spent.nanoseconds / 1000)])
        switch assignment.transport {
        case .shm:
            let isThere = mapping != nil
            // Page tables take memory, and time at the end.
            mapping = nil
            if isThere {
                channel.send(report)
                channel.wait()
            }
        case .stream: if let mapping { try listen(report, mapping, assignment, channel) }
        case .fabric, .verbs:
            throw WireError(.invalid, "a donor does not listen over \(assignment.transport.rawValue)")
        }
        // The agent is gone, or has closed the lease; where it lives it has killed this process first. Silence means off: a
        // borrower that holds the file must not hold the memory.
        memory.markEnded(LeaseEnd.agentGone.number)
        try? memory.reclaim()
        return .lifelineEnded
    }

    /// Listens, reports where, and serves until the agent has left.
    private static func listen(
        _ report: ExecutorReport, _ mapping: DonorMapping, _ assignment: DonorAssignment, _ channel: ControlChannel
    ) throws(WireError) {
        guard let secret = LeaseSecret.bytes(of: assignment.secret), let bindAddress = assignment.bindAddress else {
            throw WireError(.invalid, "a donor that listens needs an address, and a secret of 64 hexadecimal digits")
        }
        let listener: StreamMemoryListener
        do throws(TransportError) {
            listener = try StreamMemoryListener(
                bindAddress: bindAddress, leaseID: assignment.leaseID, secret: secret, memory: mapping.memory)
        } catch { throw WireError(.internalError, "a donor cannot listen on \(bindAddress): \(error)") }
        var report = report
        report.address = listener.address
        listenOverVerbs(&report, mapping, assignment, secret)
        channel.send(report)
        listener.serve(while: { !channel.hasPacket })
        channel.wait()
    }

    /// Listens on the RDMA device as well, where the agent named one. A device that does not work is told of, no more.
    private static func listenOverVerbs(
        _ report: inout ExecutorReport, _ mapping: DonorMapping, _ assignment: DonorAssignment, _ secret: [UInt8]
    ) {
        guard let address = assignment.verbsAddress else { return }
        do throws(VerbsError) {
            let listener = try VerbsMemoryListener(
                bindAddress: address, leaseID: assignment.leaseID, secret: secret, memory: mapping.memory)
            let port = listener.address
            // It ends with the process, which is when the memory does.
            do throws(WireError) {
                _ = try WorkerThread(name: "verbs") { listener.serve { true } }
                report.verbsAddress = port
            } catch { report.verbsComplaint = error.message }
        } catch { report.verbsComplaint = "cannot lend on '\(address)' over verbs: \(error)" }
    }

    private static func say(_ message: String) {
        _ = "fallow-donor: \(message)\n".withCString { write(2, $0, strlen($0)) }
    }
}
