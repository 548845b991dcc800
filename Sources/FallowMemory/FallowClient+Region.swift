public import FallowClient
public import FallowModel
internal import Synchronization

/// What a region asks the cluster for.
public struct RegionRequest: Sendable {
    /// The most that one donor holds; nil is the site's default. Each is taken back whole.
    public var donorSize: ByteCount?
    /// How long at most; nil is the site's default.
    public var term: Duration?
    /// How long to wait for capacity.
    public var wait: Duration
    /// Not on this node, even when it has memory.
    public var isRemote: Bool

    public init(donorSize: ByteCount? = nil, term: Duration? = nil, wait: Duration = .zero, isRemote: Bool = false) {
        self.donorSize = donorSize
        self.term = term
        self.wait = wait
        self.isRemote = isRemote
    }
}

extension FallowClient {
    /// Leases the memory of a region and connects to it.
    ///
    /// A region of pairs asks twice: the donors of the second half share no fate with any of the first. Blocks until all of it
    /// is allocated at its donors, tenths of a second a GiB.
    /// - Throws: as `requestMemory` and `Region`.
    public func region(
        sizeBytes: Int, _ options: RegionOptions = RegionOptions(), _ request: RegionRequest = RegionRequest()
    ) throws(FallowError) -> Region {
        try options.check(sizeBytes: sizeBytes)
        let stripe = options.stripeBytes
        var bytes = (sizeBytes + stripe - 1) / stripe * stripe
        if stripe > RegionRequest.leasedBlockBytes {
            // A donor may end within a stripe, which is of no use then.
            let donors = bytes / max(1, Int(request.donorSize?.bytes ?? RegionRequest.smallDonorBytes)) + 2
            bytes += donors * stripe
        }
        var wish = MemoryOptions(size: ByteCount(Int64(bytes)))
        wish.donorSize = request.donorSize
        wish.term = request.term
        wish.wait = request.wait
        wish.isRemote = request.isRemote
        var leases = try requestMemory(wish)
        if options.durability == .pair {
            wish.avoiding = leases.map(\.id)
            leases += try requestMemory(wish)
        }
        var grants: [DonorGrant] = []
        for lease in leases { grants.append(try DonorGrant(lease)) }
        return try Region(sizeBytes: sizeBytes, options, donors: grants)
    }
}

extension RegionRequest {
    /// Donors are leased in multiples of this.
    fileprivate static let leasedBlockBytes = 65536
    /// What no site's donors are smaller than by default.
    fileprivate static let smallDonorBytes: Int64 = 64 << 20
}

extension DonorGrant {
    /// The memory of a lease; let go of when the region releases it.
    public init(_ lease: DonorLease) throws(FallowError) {
        let path: Path
        if let introduction = lease.introduction {
            path = .fabric(address: introduction.address, leaseID: lease.id, secret: introduction.secret)
        } else {
            path = .shm(DonorFile(adopting: try lease.duplicateDescriptor()))
        }
        let held = HeldLease(lease)
        self.init(
            path: path, capacityBytes: lease.capacityBytes,
            fate: DonorFate(node: lease.node.text, beneath: lease.pool.beneath?.number),
            // An object that is let go of gives its lease back without waiting for the agent's word.
            release: { held.letGo() }, isOver: { held.isOver })
    }
}

private final class HeldLease: Sendable {
    private let lease: Mutex<DonorLease?>
    init(_ lease: DonorLease) { self.lease = Mutex(lease) }
    func letGo() { lease.withLock { $0 = nil } }
    var isOver: Bool { lease.withLock { $0?.end != nil } }
}
