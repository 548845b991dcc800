public import FallowModel

/// The memory of one donor, as a region gets it: how it is reached, and what it shares fate with.
public struct DonorGrant: Sendable {
    public enum Path: Sendable {
        /// On this node: the donor's memory file.
        case shm(DonorFile)
        /// On another node.
        case network(NetworkPath)
    }

    /// Where a donor on another node listens, and what proves that its memory is this region's.
    public struct NetworkPath: Sendable {
        /// Over TCP, "host:port".
        public var address: String
        /// Over verbs as well; nil: nowhere.
        public var verbsAddress: String?
        /// This node's address to come from over verbs; nil leaves it to the routes.
        public var verbsSource: String?
        public var leaseID: LeaseID
        public var secret: [UInt8]

        public init(
            address: String, verbsAddress: String? = nil, verbsSource: String? = nil, leaseID: LeaseID,
            secret: [UInt8]
        ) {
            self.address = address
            self.verbsAddress = verbsAddress
            self.verbsSource = verbsSource
            self.leaseID = leaseID
            self.secret = secret
        }
    }

    public var path: Path
    public var capacityBytes: Int
    public var fate: DonorFate
    /// Called once when the region needs it no longer.
    public var release: @Sendable () -> Void
    /// Whether the lease is over as far as is known; looked at between sleeps.
    public var isOver: @Sendable () -> Bool

    public init(
        path: Path, capacityBytes: Int, fate: DonorFate, release: @escaping @Sendable () -> Void = {},
        isOver: @escaping @Sendable () -> Bool = { false }
    ) {
        self.path = path
        self.capacityBytes = capacityBytes
        self.fate = fate
        self.release = release
        self.isOver = isOver
    }
}
