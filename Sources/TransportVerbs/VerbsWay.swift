internal import FallowTransport
internal import Glibc
internal import Synchronization
internal import TransportHandshake

/// How far a connect has come.
package enum VerbsStage: String, Sendable { case resolved, requested, accepted }

/// The way to one listener, from the connecting side: resolves the address, opens what the connection needs, proves the lease's
/// secret and checks the answer's proof. Its connections share a protection domain.
final class VerbsWay<Link: VerbsOpened>: Sendable {
    private let address: String
    private let source: String?
    private let introduction: VerbsIntroduction
    private let domain = Mutex<VerbsDomain?>(nil)
    private let opening: @Sendable (VerbsID, VerbsDomain) throws(VerbsError) -> Link

    /// - Parameters:
    ///   - address: the listener's "host:port", host being numeric.
    ///   - source: this node's address to come from; nil leaves it to the routes.
    ///   - opening: makes this end of a connection.
    init(
        address: String, source: String?, introduction: VerbsIntroduction,
        opening: @escaping @Sendable (VerbsID, VerbsDomain) throws(VerbsError) -> Link
    ) {
        self.address = address
        self.source = source
        self.introduction = introduction
        self.opening = opening
    }

    /// Connects, again and again where the network turned it away. Blocks until the deadline at most.
    func connect(
        worker: Int, until deadline: MonotonicDeadline, reached: (VerbsStage) -> Void = { _ in }
    ) throws(TransportError) -> (Link, VerbsWindow) {
        var pauses = VerbsRetry()
        while true {
            let call: VerbsCall<Link>
            let nonce = ProofKey.freshNonce()
            let answer: [UInt8]
            do throws(VerbsCallFailure) {
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
            return (call.link, window)
        }
    }

    /// A connect up to the point where everything is opened for it and nothing was sent.
    func open(until deadline: MonotonicDeadline) throws(VerbsCallFailure) -> VerbsCall<Link> {
        guard let (host, port) = NumericAddress.split(address), let destination = VerbsAddress(host: host, port: port)
        else { throw .final(.system(code: EINVAL)) }
        var from: VerbsAddress?
        if let source {
            from = VerbsAddress(host: source)
            if from == nil { throw .final(.system(code: EINVAL)) }
        }
        let id = try VerbsCall<Link>.resolve(destination, from: from, until: deadline)
        do throws(VerbsError) { return VerbsCall(link: try opening(id, domain(of: id))) } catch {
            throw .final(.system(code: error.code))
        }
    }

    private func domain(of id: VerbsID) throws(VerbsError) -> VerbsDomain {
        guard let context = id.context else { throw VerbsError("no RDMA device leads there", code: ENODEV) }
        let result = domain.withLock { domain in
            Result { () throws(VerbsError) in
                if let domain, domain.context == context { return domain }
                let made = try VerbsDomain(context)
                domain = made
                return made
            }
        }
        return try result.get()
    }
}

/// How often and how fast a connect that the network turned away is tried again.
private struct VerbsRetry {
    private static let refusalLimit = 3
    private var refusals = 0
    private var milliseconds: CInt = 20

    /// - Returns: false when it is not to be tried again.
    mutating func pause(after failure: VerbsCallFailure, until deadline: MonotonicDeadline) -> Bool {
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
