public import FallowModel

/// The memory of one donor, as a region gets it: how it is reached, and what it shares fate with.
public struct DonorGrant: Sendable {
    public enum Path: Sendable {
        /// On this node: the donor's memory file.
        case shm(DonorFile)
        /// Over the network: where the donor listens, and what proves that its memory is this region's.
        case stream(address: String, leaseID: LeaseID, secret: [UInt8])
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
