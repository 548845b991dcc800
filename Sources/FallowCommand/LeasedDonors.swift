internal import FallowModel

/// Leases of memory through this node's agent.
enum LeasedDonors {
    static func open(
        _ command: RunCommand, remote: ByteCount, environment: [String: String]
    ) throws(RunRefusal) -> any DonorSource {
        throw RunRefusal(RunRefusal.noMemory, "this node's agent does not lend memory")
    }
}
