public import FallowModel

/// What an agent tells a donor over its control socket (descriptor 3, a Unix SOCK_SEQPACKET pair): one JSON object in one
/// packet, which carries the memory file's descriptor. The donor answers with `ExecutorReport`s.
public struct DonorAssignment: Codable, Sendable {
    public var leaseID: LeaseID
    /// The lease's secret in hexadecimal: 32 bytes.
    public var secret: String
    /// Bytes that the borrower can use: the file's, less its control page.
    public var capacityBytes: Int
    /// Whether to ask for huge pages, where the kernel has them for shared memory.
    public var hugePages: Bool
    public var transport: TransportKind
    /// With `stream`: the address to listen on, without a port.
    public var bindAddress: String?
    /// With `stream`: the address of an RDMA device to listen on besides; nil: none.
    public var verbsAddress: String?
    /// Whom to become first.
    public var entry: ExecutorEntry

    public init(
        leaseID: LeaseID, secret: String, capacityBytes: Int, hugePages: Bool, transport: TransportKind,
        bindAddress: String?, verbsAddress: String? = nil, entry: ExecutorEntry
    ) {
        self.leaseID = leaseID
        self.secret = secret
        self.capacityBytes = capacityBytes
        self.hugePages = hugePages
        self.transport = transport
        self.bindAddress = bindAddress
        self.verbsAddress = verbsAddress
        self.entry = entry
    }
}

extension LeaseDemand {
    /// What a donor uses besides what it lends: its program, page tables while it allocates, what the kernel keeps for its
    /// cgroup. Measured at 1.4 MiB asleep with 64 MiB lent over shared memory; where it listens, sockets' buffers
    /// and the mapping's page tables come to it.
    public static let donorNeeds = ByteCount.mebibytes(16)

    /// The most that one donor lends: each is taken back whole. More memory is more donors.
    public static let largestDonor = ByteCount.gibibytes(4)
    /// The least: each costs a process and a cgroup.
    public static let smallestDonor = ByteCount.mebibytes(1)

    /// What is wrong with a demand for memory, in one sentence; nil when nothing is.
    public var donorComplaint: String? {
        guard memory >= Self.smallestDonor, memory <= Self.largestDonor, memory.bytes % 4096 == 0 else {
            return "a donor lends \(Self.smallestDonor) to \(Self.largestDonor) in whole pages of 4 KiB, not \(memory)"
                + " (\(memory.bytes) bytes): ask for several"
        }
        guard avoid?.count ?? 0 <= Self.avoidedAtMost else {
            return "\(avoid?.count ?? 0) leases are to be avoided; up to \(Self.avoidedAtMost) can be"
        }
        return nil
    }

    /// Donors are a multiple of this: 64 KiB, the block that memory is striped by.
    public static let donorBlockBytes: Int64 = 65_536

    /// How an amount of memory becomes equal donors of whole blocks.
    /// - Parameters:
    ///   - memory: above zero.
    ///   - largest: the most that one may hold, from `smallestDonor` to `largestDonor`.
    public static func split(_ memory: ByteCount, largest: ByteCount) -> (count: Int64, each: ByteCount) {
        let count = (memory.bytes + largest.bytes - 1) / largest.bytes
        let share = (memory.bytes + count - 1) / count
        let blocks = (share + donorBlockBytes - 1) / donorBlockBytes
        return (count, max(ByteCount(blocks * donorBlockBytes), smallestDonor))
    }

    /// What the lease takes of its node's memory.
    public var footprint: ByteCount { kind == .memory ? memory + Self.donorNeeds : memory }
}
