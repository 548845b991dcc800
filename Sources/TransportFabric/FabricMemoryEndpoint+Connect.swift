internal import CFabric
public import FallowModel
public import FallowTransport
internal import Glibc
internal import TransportHandshake

extension FabricMemoryEndpoint {
    /// Connects to a donor on another node. Blocks, at most for `timeout`.
    ///
    /// As with calls, each side proves that it knows the lease's secret; the donor tells where its memory lies only to who has.
    /// - Parameters:
    ///   - address: the listener's "host:port", host being numeric (an IPv6 one in brackets).
    ///   - capacityBytes: what the donor lends; both ends have to agree about it.
    /// - Throws: `refused` when either side's proof or the capacity does not fit; `timedOut`; `system` when nobody listens
    ///   there (ECONNREFUSED), the address makes no sense (EINVAL) or libfabric is not to be had (ENOENT).
    public static func connect(
        address: String, leaseID: LeaseID, secret: [UInt8], capacityBytes: Int, timeout: Duration
    ) throws(TransportError) -> FabricMemoryEndpoint {
        try connect(
            address: address, leaseID: leaseID, secret: secret, capacityBytes: capacityBytes, timeout: timeout,
            registersLocally: false)
    }

    /// - Parameter registersLocally: registers buffers although the provider does not want it. For tests.
    package static func connect(
        address: String, leaseID: LeaseID, secret: [UInt8], capacityBytes: Int, timeout: Duration,
        registersLocally: Bool
    ) throws(TransportError) -> FabricMemoryEndpoint {
        guard let (host, port) = NumericAddress.split(address), capacityBytes > 0 else {
            throw .system(code: EINVAL)
        }
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        let introduction = FabricIntroduction(
            leaseID: leaseID, secret: secret, address: address, capacityBytes: capacityBytes)
        let information: FabricInformation
        let pipe: FabricPipe
        let bounce: FabricBounce?
        do throws(FabricError) {
            information = try FabricInformation(host: host, port: port, listening: false)
            var hasTakenHandle = false
            pipe = try FabricPipe(
                information, root: FabricRoot(information), queueEntries: 256, hasTakenHandle: &hasTakenHandle)
            let isWanted = registersLocally || information.needsLocalRegistration
            bounce = isWanted ? try FabricBounce(slots: 64, pipe: pipe) : nil
        } catch {
            throw .system(code: error.code)
        }
        let nonce = ProofKey.freshNonce()
        // Nothing of this side's is open to the donor.
        let answer = try pipe.connect(
            introduction.request(worker: 0, nonce: nonce, window: FabricWindow(address: 0, key: 0)), to: information,
            until: deadline)
        guard let window = introduction.check(accept: answer, nonce: nonce) else { throw .refused }
        pipe.boundSilence()
        return FabricMemoryEndpoint(pipe, peer: window, capacityBytes: capacityBytes, bounce: bounce)
    }
}
