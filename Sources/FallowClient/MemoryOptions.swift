public import FallowModel
internal import FallowWire

/// What remote memory should be.
public struct MemoryOptions: Hashable, Sendable {
    /// Bytes in all; what is leased is that, rounded up to equal donors of whole blocks.
    public var size: ByteCount
    /// The most that one donor holds; nil is the site's default. Each is taken back whole.
    public var donorSize: ByteCount?
    /// How long at most; nil is the site's default.
    public var term: Duration?
    /// How long to wait for capacity.
    public var wait = Duration.zero
    /// This node of the cluster only.
    public var node: NodeName?
    /// Not on this node, even when it has memory.
    public var isRemote = false
    /// Leases whose fate must not be shared: no donor comes to the node of one of them, nor into memory that no job holds
    /// when one of them lies in such.
    public var avoiding: [LeaseID] = []
    /// In a job that said `--remote-mem`: whether memory that waits for the job is taken before any is asked for, where the rest of
    /// this allows it (no node is named, nothing avoided, no donor size).
    public var adopts = true

    /// Donors of one request at most.
    static let donorsAtMost = 4096

    public init(size: ByteCount) { self.size = size }

    var mayAdopt: Bool { adopts && node == nil && !isRemote && avoiding.isEmpty && donorSize == nil }

    /// How many donors of what size.
    /// - Throws: `.invalid` with what is wrong and what would be right.
    func split(defaultDonor: ByteCount) throws(FallowError) -> (count: Int, each: ByteCount) {
        guard size.bytes > 0, size.bytes <= 1 << 50 else {
            throw FallowError(.invalid, "remote memory is 1 byte to 1 PiB, not \(size) (\(size.bytes) bytes)")
        }
        let largest = donorSize ?? defaultDonor
        guard largest >= LeaseDemand.smallestDonor, largest <= LeaseDemand.largestDonor else {
            throw FallowError(
                .invalid,
                "a donor holds \(LeaseDemand.smallestDonor) to \(LeaseDemand.largestDonor), not \(largest)")
        }
        let (count, each) = LeaseDemand.split(size, largest: largest)
        guard count <= Int64(Self.donorsAtMost) else {
            throw FallowError(
                .invalid,
                "\(size) in donors of \(largest) are \(count); up to \(Self.donorsAtMost) can be leased at once")
        }
        return (Int(count), each)
    }

    func check() throws(FallowError) {
        guard (term ?? .zero) >= .zero else { throw FallowError(.invalid, "a lease's term cannot be negative") }
        guard wait >= .zero, wait <= .seconds(3600) else {
            throw FallowError(.invalid, "waiting for capacity takes 0 s to an hour, not \(wait)")
        }
        guard avoiding.count <= LeaseDemand.avoidedAtMost else {
            throw FallowError(
                .invalid, "up to \(LeaseDemand.avoidedAtMost) leases can be avoided, not \(avoiding.count)")
        }
    }

    func demand(for memory: ByteCount) -> LeaseDemand {
        LeaseDemand(
            kind: .memory, cpus: 0, memory: memory, termSeconds: term?.inSeconds ?? 0, waitSeconds: wait.inSeconds,
            slotCount: 0, inputBytes: 0, outputBytes: 0, node: node, remote: isRemote, libraryName: "",
            avoid: avoiding.isEmpty ? nil : avoiding)
    }
}
