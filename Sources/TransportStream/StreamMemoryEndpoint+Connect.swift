public import FallowModel
public import FallowTransport
internal import Glibc
internal import TransportHandshake

extension StreamMemoryEndpoint {
    /// Connects to a donor on another node. Blocks, at most for `timeout`. Each side proves that it knows the lease's secret.
    /// - Parameters:
    ///   - address: the listener's "host:port", host being numeric (an IPv6 one in brackets).
    ///   - capacityBytes: what the donor lends; both ends have to agree about it.
    /// - Throws: `refused` when either side's proof or the capacity does not fit, or another borrower is there; `timedOut`;
    ///   `peerLost` when the donor goes meanwhile; `system` when nobody listens there (ECONNREFUSED) or the address makes no
    ///   sense (EINVAL).
    public static func connect(
        address: String, leaseID: LeaseID, secret: [UInt8], capacityBytes: Int, timeout: Duration
    ) throws(TransportError) -> StreamMemoryEndpoint {
        guard let (host, text) = NumericAddress.split(address), let port = UInt16(text), capacityBytes > 0 else {
            throw .system(code: EINVAL)
        }
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        let introduction = StreamIntroduction(
            leaseID: leaseID, secret: secret, address: address, capacityBytes: capacityBytes)
        let nonce = ProofKey.freshNonce()
        let socket = try StreamSocket.connect(host: host, port: port, until: deadline)
        try socket.send(introduction.request(nonce: nonce))
        let answer = try socket.receive(StreamIntroduction.answerBytes, until: deadline)
        guard introduction.holds(answer: answer, nonce: nonce) else { throw .refused }
        return StreamMemoryEndpoint(socket, capacityBytes: capacityBytes)
    }
}
