public import FallowModel
public import FallowTransport
internal import Glibc
package import TransportHandshake

/// A client's way to the workers of one lease over RDMA. Its connections share a protection domain.
public final class VerbsConnector: Sendable {
    private let geometry: ArenaGeometry
    private let way: VerbsWay<VerbsLink>

    /// - Parameters:
    ///   - address: the listener's "host:port", host being numeric (an IPv6 one in brackets).
    ///   - source: this node's address to come from; nil leaves it to the routes.
    public init(
        address: String, leaseID: LeaseID, secret: [UInt8], geometry: ArenaGeometry, source: String? = nil
    ) {
        self.geometry = geometry
        way = VerbsWay(
            address: address, source: source,
            introduction: VerbsIntroduction(leaseID: leaseID, secret: secret, address: address, geometry: geometry)
        ) { (id, domain) throws(VerbsError) in
            if let complaint = geometry.complaint { throw VerbsError(complaint, code: EINVAL) }
            return try VerbsLink(id, domain: domain, geometry: geometry, isClient: true)
        }
    }

    /// Connects to a worker. Blocks, at most for `timeout`.
    ///
    /// The secret does not travel: the connect carries a proof over a fresh nonce, and so does the answer; a listener
    /// that cannot prove that it knows the secret is not written to. Where the network, not the listener, turns a
    /// connect away, it is tried again until the time is over; where nobody listens, a few times.
    /// - Parameter firstSequence: as in `ShmArena.endpoint`; 0 outside tests.
    /// - Throws: `refused` when either side's proof, version, worker or geometry does not fit; `timedOut`; `system` when
    ///   nobody listens there (ECONNREFUSED), no way leads there, no RDMA device is on it (ENODEV), the address makes no
    ///   sense (EINVAL), the libraries are not to be had (ENOENT) or memory cannot be registered (ENOMEM).
    public func connect(
        worker: Int, timeout: Duration, firstSequence: UInt32 = 0
    ) throws(TransportError) -> VerbsEndpoint {
        try connect(worker: worker, timeout: timeout, firstSequence: firstSequence) { _ in }
    }

    /// The same, telling how far it has come; for tests, which end a client there.
    package func connect(
        worker: Int, timeout: Duration, firstSequence: UInt32 = 0, reached: (VerbsStage) -> Void
    ) throws(TransportError) -> VerbsEndpoint {
        guard (0..<1024).contains(worker) else { throw .system(code: EINVAL) }
        let (link, window) = try way.connect(
            worker: worker, until: MonotonicDeadline(in: timeout.nanoseconds), reached: reached)
        return VerbsEndpoint(link, peer: window, geometry: geometry, isClient: true, firstSequence: firstSequence)
    }

    /// A connect up to the point where everything is opened for it and nothing was sent.
    package func open(until deadline: MonotonicDeadline) throws(VerbsCallFailure) -> VerbsCall<VerbsLink> {
        try way.open(until: deadline)
    }
}
