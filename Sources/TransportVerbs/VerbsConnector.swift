internal import CRDMA
public import FallowModel
public import FallowTransport
internal import Glibc
internal import Synchronization
package import TransportHandshake

/// A client's way to the workers of one lease over RDMA. Its connections share a protection domain.
public final class VerbsConnector: Sendable {
    private let address: String
    private let source: String?
    private let geometry: ArenaGeometry
    private let introduction: VerbsIntroduction
    private let domain = Mutex<VerbsDomain?>(nil)

    /// - Parameters:
    ///   - address: the listener's "host:port", host being numeric (an IPv6 one in brackets).
    ///   - source: this node's address to come from; nil leaves it to the routes.
    public init(
        address: String, leaseID: LeaseID, secret: [UInt8], geometry: ArenaGeometry, source: String? = nil
    ) {
        self.address = address
        self.source = source
        self.geometry = geometry
        introduction = VerbsIntroduction(leaseID: leaseID, secret: secret, address: address, geometry: geometry)
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

    /// How far a connect has come.
    package enum Stage: String, Sendable { case resolved, requested, accepted }

    /// The same, telling how far it has come; for tests, which end a client there.
    package func connect(
        worker: Int, timeout: Duration, firstSequence: UInt32 = 0, reached: (Stage) -> Void
    ) throws(TransportError) -> VerbsEndpoint {
        guard (0..<1024).contains(worker) else { throw .system(code: EINVAL) }
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        var pauses = VerbsRetry()
        while true {
            let call: VerbsCall
            let nonce = ProofKey.freshNonce()
            let answer: [UInt8]
            do throws(VerbsCall.Failure) {
                call = try open(until: deadline)
                reached(.resolved)
                try call.send(introduction.request(worker: worker, nonce: nonce, window: call.link.window))
                reached(.requested)
                answer = try call.accepted(until: deadline)
                reached(.accepted)
            } catch {
                guard pauses.pause(after: error, until: deadline) else { throw error.error }
                continue
            }
            guard let window = introduction.check(accept: answer, nonce: nonce) else { throw .refused }
            return VerbsEndpoint(
                call.link, peer: window, geometry: geometry, isClient: true, firstSequence: firstSequence)
        }
    }

    /// A connect up to the point where everything is opened for it and nothing was sent.
    package func open(until deadline: MonotonicDeadline) throws(VerbsCall.Failure) -> VerbsCall {
        guard let (host, port) = NumericAddress.split(address), geometry.complaint == nil,
            let destination = VerbsAddress(host: host, port: port)
        else { throw .final(.system(code: EINVAL)) }
        var from: VerbsAddress?
        if let source {
            from = VerbsAddress(host: source)
            if from == nil { throw .final(.system(code: EINVAL)) }
        }
        let id = try VerbsCall.resolve(destination, from: from, until: deadline)
        do throws(VerbsError) {
            guard let context = id.context else { throw VerbsError("no RDMA device leads there", code: ENODEV) }
            let result = domain.withLock { domain in
                Result { () throws(VerbsError) in
                    if let domain, domain.context == context { return domain }
                    let made = try VerbsDomain(context)
                    domain = made
                    return made
                }
            }
            let link = try VerbsLink(id, domain: result.get(), geometry: geometry, isClient: true)
            return VerbsCall(link: link)
        } catch {
            throw .final(.system(code: error.code))
        }
    }
}

/// How often and how fast a connect that the network turned away is tried again.
private struct VerbsRetry {
    private static let refusalLimit = 3
    private var attempts = 0
    private var refusals = 0
    private var milliseconds: CInt = 20

    /// - Returns: false when it is not to be tried again.
    mutating func pause(after failure: VerbsCall.Failure, until deadline: MonotonicDeadline) -> Bool {
        switch failure {
        case .final: return false
        case .nobody:
            refusals += 1
            if refusals > Self.refusalLimit { return false }
        case .again: break
        }
        guard deadline.millisecondsLeft > milliseconds else { return false }
        usleep(useconds_t(milliseconds) * 1000)
        milliseconds = min(milliseconds * 2, 320)
        return true
    }
}
