internal import CFabric
public import FallowModel
public import FallowTransport
internal import Glibc
package import TransportHandshake

extension FabricEndpoint {
    /// Connects to a worker of an executor on another node. For the client. Blocks, at most for `timeout`.
    ///
    /// The secret does not travel: the connect carries a proof over a fresh nonce, and so does the answer; a listener
    /// that cannot prove that it knows the secret is not written to.
    /// - Parameters:
    ///   - address: the listener's "host:port", host being numeric (an IPv6 one in brackets).
    ///   - firstSequence: as in `ShmArena.endpoint`; 0 outside tests.
    /// - Throws: `refused` when either side's proof, version, worker or geometry does not fit; `timedOut`; `system` when
    ///   nobody listens there (ECONNREFUSED), the address makes no sense (EINVAL) or libfabric is not to be had (ENOENT).
    public static func connect(
        address: String, leaseID: LeaseID, worker: Int, secret: [UInt8], geometry: ArenaGeometry, timeout: Duration,
        firstSequence: UInt32 = 0
    ) throws(TransportError) -> FabricEndpoint {
        guard worker >= 0 else { throw .system(code: EINVAL) }
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        let call = try FabricCall(address: address, geometry: geometry)
        let introduction = FabricIntroduction(leaseID: leaseID, secret: secret, address: address, geometry: geometry)
        let nonce = ProofKey.freshNonce()
        let answer = try call.connect(
            introduction.request(worker: worker, nonce: nonce, window: call.link.window), until: deadline)
        guard let window = introduction.check(accept: answer, nonce: nonce) else { throw .refused }
        call.link.pipe.boundSilence()
        return FabricEndpoint(
            call.link, peer: window, geometry: geometry, isClient: true, firstSequence: firstSequence)
    }
}

/// A connect under way: what was opened for it, before the listener has answered.
package struct FabricCall {
    package let link: FabricLink
    private let information: FabricInformation

    package init(address: String, geometry: ArenaGeometry) throws(TransportError) {
        guard let (host, port) = NumericAddress.split(address), geometry.complaint == nil else {
            throw .system(code: EINVAL)
        }
        do throws(FabricError) {
            information = try FabricInformation(host: host, port: port, listening: false)
            var hasTakenHandle = false
            link = try FabricLink(
                information, root: FabricRoot(information), geometry: geometry, isClient: true,
                hasTakenHandle: &hasTakenHandle)
        } catch {
            throw .system(code: error.code)
        }
    }

    /// - Returns: what came with the listener's accept.
    package func connect(_ request: [UInt8], until deadline: MonotonicDeadline) throws(TransportError) -> [UInt8] {
        try link.pipe.connect(request, to: information, until: deadline)
    }
}
