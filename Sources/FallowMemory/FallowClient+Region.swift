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
    /// A region of pairs asks twice: the donors of the second set share no fate with any of the first, which in a job that said
    /// `--remote-mem` are those that wait for it. A `durable` one does so too, and has its second copy in a file where there is no
    /// second set. Blocks until all of it is allocated at its donors, tenths of a second a GiB.
    /// - Throws: as `requestMemory` and `Region`; `.noCapacity` for pairs also says when it is the second set that is not to be had.
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
        let first = try requestMemory(wish)
        wish.avoiding = first.map(\.id)
        let second = try secondSet(wish, for: options.durability)
        var grants: [DonorGrant] = []
        for lease in first + second { grants.append(try DonorGrant(lease)) }
        return try Region(sizeBytes: sizeBytes, options, donors: grants, firstSet: first.count)
    }

    /// The donors of second copies, as far as a durability has them there.
    private func secondSet(
        _ wish: MemoryOptions, for durability: Durability
    ) throws(FallowError) -> [DonorLease] {
        switch durability {
        case .cache, .scratch: return []
        case .pair, .durable: break
        }
        do throws(FallowError) { return try requestMemory(wish) } catch {
            guard error.code == .noCapacity else { throw error }
            if case .durable = durability { return [] }
            throw FallowError(
                .noCapacity,
                "no second set of donors is to be had that shares no fate with the first (a copy in a file needs none): \(error.message)"
            )
        }
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
            path = .network(
                NetworkPath(
                    address: introduction.address, verbsAddress: introduction.verbsAddress,
                    verbsSource: introduction.verbsSource, leaseID: lease.id, secret: introduction.secret))
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
