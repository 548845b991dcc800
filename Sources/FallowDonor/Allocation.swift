internal import FallowTenant
internal import FallowWire
internal import Glibc
internal import TransportShm

/// How a donor's memory comes to be there before anybody uses it, so that its pages are charged to the donor's cgroup and no
/// borrower ever waits, or fails, for one.
enum Allocation {
    /// How much is allocated between two looks at whether the agent still is there: some milliseconds of small pages.
    static let stepBytes = 16 << 20

    /// Maps and allocates everything.
    /// - Returns: nil when the agent left meanwhile.
    static func run(
        _ memory: DonorMemory, _ assignment: DonorAssignment, _ channel: ControlChannel
    ) throws(ShmArenaError) -> DonorMapping? {
        let copy = fcntl(memory.descriptor, F_DUPFD_CLOEXEC, 0)
        let mapping = try DonorMapping(adopting: copy, capacityBytes: assignment.capacityBytes)
        if assignment.hugePages { mapping.askForHugePages() }
        for offset in stride(from: 0, to: assignment.capacityBytes, by: stepBytes) {
            if channel.hasPacket { return nil }
            try mapping.prefault(offset..<min(offset + stepBytes, assignment.capacityBytes))
        }
        return mapping
    }
}
