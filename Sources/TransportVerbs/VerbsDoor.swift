internal import CRDMA
internal import FallowModel
internal import FallowTransport
internal import Glibc
internal import Synchronization
internal import TransportHandshake

/// A listener on an RDMA device, and who is let in.
///
/// A connect has to prove the lease's secret before anything is opened or registered for it: 160 bits of an HMAC-SHA256
/// over version, lease, worker, nonce, what is lent, the peer's window and this listener's address, compared in constant
/// time. No nonce counts twice (`Doorkeeper`). What fails is refused and counted, and tells the peer nothing but that.
final class VerbsDoor<Link: VerbsOpened>: Sendable {
    /// Where it listens: "host:port", the host numeric.
    let address: String
    /// Readable when somebody wants to connect.
    let descriptor: Int32

    struct Accepted: Sendable {
        var worker: Int
        var link: Link
        /// Where the peer may be written to or read.
        var window: VerbsWindow
    }

    private struct State {
        let introduction: VerbsIntroduction
        let domain: VerbsDomain
        let opening: (VerbsID, VerbsDomain) throws(VerbsError) -> Link
        var id: VerbsID?
        var doorkeeper: Doorkeeper
    }
    private let state: Mutex<State>

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - introduction: given the address, what the two ends say to each other.
    ///   - opening: makes this end of a connection whose proof holds.
    init(
        bindAddress: String, secret: [UInt8], workers: Int, introduction: (String) -> VerbsIntroduction,
        opening: @escaping @Sendable (VerbsID, VerbsDomain) throws(VerbsError) -> Link
    ) throws(VerbsError) {
        guard secret.count == ProofKey.secretBytes else {
            throw VerbsError("a lease's secret has 32 bytes, not \(secret.count)", code: EINVAL)
        }
        let (id, context) = try VerbsDevice.bind(bindAddress)
        let domain = try VerbsDomain(context)
        try verbsCheck(crdma_listen(id.pointer, CInt(workers) + 16), "listen at '\(bindAddress)'")
        address = NumericAddress.joined(host: bindAddress, port: crdma_source_port(id.pointer))
        descriptor = id.events.descriptor
        state = Mutex(
            State(
                introduction: introduction(address), domain: domain, opening: opening, id: id,
                doorkeeper: Doorkeeper(workers: workers)))
    }

    /// How many connects were turned away so far, by reason.
    var refusals: [String: Int] { state.withLock { $0.doorkeeper.refusals } }

    /// Waits for the next whose proof holds. Blocks, at most for `timeout` (and 1 s more while it finishes a connection).
    /// - Throws: `timedOut`; `peerLost` once the door is closed.
    func acceptNext(timeout: Duration) throws(TransportError) -> Accepted {
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        while true {
            // In slices, so that `close` and the counts are not held up by a long wait.
            let slice = MonotonicDeadline(in: min(Int64(deadline.millisecondsLeft), 50) * 1_000_000)
            let accepted = state.withLock { state -> Result<Accepted?, TransportError> in
                guard let id = state.id else { return .failure(.peerLost) }
                guard case .request(let caller, let data) = id.events.next(until: slice) else { return .success(nil) }
                return .success(Self.answer(caller, data, &state))
            }
            if let accepted = try accepted.get() { return accepted }
            if deadline.hasPassed { throw .timedOut }
        }
    }

    /// Accepts or refuses one connect.
    private static func answer(_ caller: VerbsID, _ data: [UInt8], _ state: inout State) -> Accepted? {
        do throws(HandshakeComplaint) {
            let request = try state.introduction.check(request: data, workers: state.doorkeeper.workers)
            try state.doorkeeper.admit(worker: request.worker, nonce: request.nonce)
            guard let link = finish(caller, request, state) else { throw .resources }
            state.doorkeeper.take(worker: request.worker)
            return Accepted(worker: request.worker, link: link, window: request.window)
        } catch {
            state.doorkeeper.count(error)
            caller.isAbandoned = error == .resources
            let refusal = VerbsIntroduction.refusal
            // Does nothing to one that was accepted, or whose client has gone.
            _ = crdma_reject(caller.pointer, refusal, UInt8(refusal.count))
            return nil
        }
    }

    /// Opens what the connection needs and accepts it; nil when the system or the peer did not go along.
    private static func finish(_ caller: VerbsID, _ request: VerbsIntroduction.Request, _ state: State) -> Link? {
        guard let events = try? VerbsEvents(), (try? caller.migrate(to: events)) != nil else { return nil }
        _ = crdma_set_ack_timeout(caller.pointer, VerbsBounds.ackTimeoutExponent)
        guard let link = try? state.opening(caller, state.domain) else { return nil }
        let answer = state.introduction.accept(nonce: request.nonce, window: link.window)
        let code = answer.withUnsafeBufferPointer { data in
            var parameters = link.connection.parameters(data)
            return crdma_accept(caller.pointer, &parameters)
        }
        guard code == 0,
            case .connected = events.next(until: MonotonicDeadline(in: VerbsBounds.finishNanoseconds))
        else { return nil }
        // A client that gave up while its connect lay in the queue must not cost the lease a worker.
        guard events.next() == nil else { return nil }
        return link
    }

    /// Lets a worker be connected to once more, after its peer was lost.
    func free(worker: Int) { state.withLock { $0.doorkeeper.free(worker: worker) } }

    /// Stops listening; connections that were accepted stay. Idempotent.
    func close() { state.withLock { $0.id = nil } }
}
