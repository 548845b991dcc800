public import FallowModel
public import FallowTransport
internal import Glibc

/// A client that was accepted: which worker it speaks to, and the connection.
public struct FabricAccepted: ~Copyable, Sendable {
    public let worker: Int
    private var endpoint: FabricEndpoint

    init(worker: Int, endpoint: consuming FabricEndpoint) {
        self.worker = worker
        self.endpoint = endpoint
    }
    /// The connection, to be owned by the worker's thread.
    public consuming func takeEndpoint() -> FabricEndpoint { endpoint }
}

/// Where an executor waits for the client of its lease. One connection for each worker, each accepted once; who is let in,
/// `FabricDoor` says.
public final class FabricListener: Sendable {
    /// Where it listens: "host:port", the host numeric. What clients have to be told, letter for letter.
    public var address: String { door.address }
    /// Readable when somebody may want to connect; to be slept on beside others. The provider may forget to signal.
    public var descriptor: Int32 { door.descriptor }

    private let door: FabricDoor<FabricLink>
    private let geometry: ArenaGeometry

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - bindAddress: a numeric address of this node.
    ///   - secret: the lease's, 32 bytes.
    public init(
        bindAddress: String, leaseID: LeaseID, secret: [UInt8], geometry: ArenaGeometry, workers: Int
    ) throws(FabricError) {
        if let complaint = geometry.complaint { throw FabricError(complaint, code: EINVAL) }
        try FabricError.checkSecret(secret)
        guard workers > 0 else { throw FabricError("a listener needs at least one worker", code: EINVAL) }
        self.geometry = geometry
        door = try FabricDoor(
            bindAddress: bindAddress, workers: workers,
            introduction: {
                FabricIntroduction(leaseID: leaseID, secret: secret, address: $0, geometry: geometry)
            },
            open: { (information, root, hasTakenHandle) throws(FabricError) in
                try FabricLink(
                    information, root: root, geometry: geometry, isClient: false, hasTakenHandle: &hasTakenHandle)
            })
    }

    /// How many connects were turned away so far.
    public var refusedCount: Int { refusals.values.reduce(0, +) }
    /// The same by reason ("proof", "version", "replayed", …).
    public var refusals: [String: Int] { door.refusals }

    /// Waits for the next client whose proof holds. Blocks, at most for `timeout` (and 1 s more while it finishes a
    /// connection). Connects that are refused or never finished do not end the wait, nor hold others up.
    /// - Parameter firstSequence: as in `ShmArena.endpoint`; 0 outside tests.
    /// - Throws: `timedOut`; `peerLost` once the listener is closed.
    public func acceptNext(
        timeout: Duration, firstSequence: UInt32 = 0
    ) throws(TransportError) -> FabricAccepted {
        let accepted = try door.acceptNext(timeout: timeout)
        let endpoint = FabricEndpoint(
            accepted.link, peer: accepted.window, geometry: geometry, isClient: false, firstSequence: firstSequence)
        return FabricAccepted(worker: accepted.worker, endpoint: endpoint)
    }

    /// Lets a worker be connected to once more, after its client's endpoint was lost. For the executor.
    public func free(worker: Int) { door.free(worker: worker) }
    /// Stops listening; connections that were accepted stay. Idempotent.
    public func close() { door.close() }
}
