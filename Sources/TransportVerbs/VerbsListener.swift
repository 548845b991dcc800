public import FallowModel
public import FallowTransport
internal import Glibc

/// A client that was accepted: which worker it speaks to, and the connection.
public struct VerbsAccepted: ~Copyable, Sendable {
    public let worker: Int
    private var endpoint: VerbsEndpoint

    init(worker: Int, endpoint: consuming VerbsEndpoint) {
        self.worker = worker
        self.endpoint = endpoint
    }
    /// The connection, to be owned by the worker's thread.
    public consuming func takeEndpoint() -> VerbsEndpoint { endpoint }
}

/// Where an executor waits for the client of its lease over RDMA. One connection for each worker, each accepted once.
/// Who is let in, `VerbsDoor` says.
public final class VerbsListener: Sendable {
    /// Where it listens: "host:port", the host numeric. What clients have to be told, letter for letter.
    public var address: String { door.address }
    /// Readable when somebody wants to connect; to be slept on beside others.
    public var descriptor: Int32 { door.descriptor }
    /// How many connects were turned away so far.
    public var refusedCount: Int { door.refusals.values.reduce(0, +) }
    /// The same by reason ("proof", "version", "replayed", …). Another lease or geometry is "proof" here.
    public var refusals: [String: Int] { door.refusals }

    private let door: VerbsDoor<VerbsLink>
    private let geometry: ArenaGeometry

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - bindAddress: a numeric address of this node that an RDMA device carries.
    ///   - secret: the lease's, 32 bytes.
    public init(
        bindAddress: String, leaseID: LeaseID, secret: [UInt8], geometry: ArenaGeometry, workers: Int
    ) throws(VerbsError) {
        if let complaint = geometry.complaint { throw VerbsError(complaint, code: EINVAL) }
        guard (1...1024).contains(workers) else {
            throw VerbsError("a listener serves 1 to 1024 workers, not \(workers)", code: EINVAL)
        }
        self.geometry = geometry
        door = try VerbsDoor(
            bindAddress: bindAddress, secret: secret, workers: workers,
            introduction: {
                VerbsIntroduction(leaseID: leaseID, secret: secret, address: $0, geometry: geometry)
            },
            opening: { (id, domain) throws(VerbsError) in
                try VerbsLink(id, domain: domain, geometry: geometry, isClient: false)
            })
    }

    /// Waits for the next client whose proof holds. Blocks, at most for `timeout` (and 1 s more while it finishes a
    /// connection). Connects that are refused or never finished do not end the wait.
    /// - Parameter firstSequence: as in `ShmArena.endpoint`; 0 outside tests.
    /// - Throws: `timedOut`; `peerLost` once the listener is closed.
    public func acceptNext(timeout: Duration, firstSequence: UInt32 = 0) throws(TransportError) -> VerbsAccepted {
        let accepted = try door.acceptNext(timeout: timeout)
        let endpoint = VerbsEndpoint(
            accepted.link, peer: accepted.window, geometry: geometry, isClient: false, firstSequence: firstSequence)
        return VerbsAccepted(worker: accepted.worker, endpoint: endpoint)
    }

    /// Lets a worker be connected to once more, after its client's endpoint was lost. For the executor.
    public func free(worker: Int) { door.free(worker: worker) }

    /// Stops listening; connections that were accepted stay. Idempotent.
    public func close() { door.close() }
}
