internal import CRDMA
public import FallowModel
public import FallowTransport
internal import Glibc
internal import Synchronization
internal import TransportHandshake

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
///
/// A connect has to prove the lease's secret before anything is opened or registered for it: 160 bits of an HMAC-SHA256
/// over version, lease, worker, nonce, geometry, the client's window and this listener's address, compared in constant
/// time. No nonce counts twice (`Doorkeeper`). What fails is refused and counted, and tells the peer nothing but that.
public final class VerbsListener: Sendable {
    /// Where it listens: "host:port", the host numeric. What clients have to be told, letter for letter.
    public let address: String

    /// Readable when somebody wants to connect; to be slept on beside others.
    public let descriptor: Int32

    private let state: Mutex<State>

    private struct State {
        let introduction: VerbsIntroduction
        let geometry: ArenaGeometry
        let domain: VerbsDomain
        var id: VerbsID?
        var doorkeeper: Doorkeeper
    }

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - bindAddress: a numeric address of this node that an RDMA device carries.
    ///   - secret: the lease's, 32 bytes.
    public init(
        bindAddress: String, leaseID: LeaseID, secret: [UInt8], geometry: ArenaGeometry, workers: Int
    ) throws(VerbsError) {
        if let complaint = geometry.complaint { throw VerbsError(complaint, code: EINVAL) }
        guard secret.count == ProofKey.secretBytes else {
            throw VerbsError("a lease's secret has 32 bytes, not \(secret.count)", code: EINVAL)
        }
        guard (1...1024).contains(workers) else {
            throw VerbsError("a listener serves 1 to 1024 workers, not \(workers)", code: EINVAL)
        }
        let (id, context) = try VerbsDevice.bind(bindAddress)
        let domain = try VerbsDomain(context)
        try verbsCheck(crdma_listen(id.pointer, CInt(workers) + 16), "listen at '\(bindAddress)'")
        address = NumericAddress.joined(host: bindAddress, port: crdma_source_port(id.pointer))
        let introduction = VerbsIntroduction(leaseID: leaseID, secret: secret, address: address, geometry: geometry)
        descriptor = id.events.descriptor
        state = Mutex(
            State(
                introduction: introduction, geometry: geometry, domain: domain, id: id,
                doorkeeper: Doorkeeper(workers: workers)))
    }

    /// How many connects were turned away so far.
    public var refusedCount: Int { state.withLock { $0.doorkeeper.refusals.values.reduce(0, +) } }
    /// The same by reason ("proof", "version", "replayed", …). Another lease or geometry is "proof" here.
    public var refusals: [String: Int] { state.withLock { $0.doorkeeper.refusals } }

    /// Waits for the next client whose proof holds. Blocks, at most for `timeout` (and 1 s more while it finishes a
    /// connection). Connects that are refused or never finished do not end the wait.
    /// - Parameter firstSequence: as in `ShmArena.endpoint`; 0 outside tests.
    /// - Throws: `timedOut`; `peerLost` once the listener is closed.
    public func acceptNext(timeout: Duration, firstSequence: UInt32 = 0) throws(TransportError) -> VerbsAccepted {
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        while true {
            // In slices, so that `close` and the counts are not held up by a long wait.
            let slice = MonotonicDeadline(in: min(Int64(deadline.millisecondsLeft), 50) * 1_000_000)
            let accepted = state.withLock { state -> Result<Accepted?, TransportError> in
                guard let id = state.id else { return .failure(.peerLost) }
                guard case .request(let caller, let data) = id.events.next(until: slice) else { return .success(nil) }
                return .success(Self.answer(caller, data, &state))
            }
            if let accepted = try accepted.get() {
                let endpoint = VerbsEndpoint(
                    accepted.link, peer: accepted.window, geometry: accepted.geometry, isClient: false,
                    firstSequence: firstSequence)
                return VerbsAccepted(worker: accepted.worker, endpoint: endpoint)
            }
            if deadline.hasPassed { throw .timedOut }
        }
    }

    private struct Accepted: Sendable {
        var worker: Int
        var link: VerbsLink
        var window: VerbsWindow
        var geometry: ArenaGeometry
    }

    /// Accepts or refuses one connect.
    private static func answer(_ caller: VerbsID, _ data: [UInt8], _ state: inout State) -> Accepted? {
        do throws(HandshakeComplaint) {
            let request = try state.introduction.check(request: data, workers: state.doorkeeper.workers)
            try state.doorkeeper.admit(worker: request.worker, nonce: request.nonce)
            guard let link = finish(caller, request, state) else { throw .resources }
            state.doorkeeper.take(worker: request.worker)
            return Accepted(
                worker: request.worker, link: link, window: request.window, geometry: state.geometry)
        } catch {
            state.doorkeeper.count(error)
            let refusal = VerbsIntroduction.refusal
            // Does nothing to one that was accepted, or whose client has gone.
            _ = crdma_reject(caller.pointer, refusal, UInt8(refusal.count))
            return nil
        }
    }

    /// Opens what the connection needs and accepts it; nil when the system or the peer did not go along.
    private static func finish(
        _ caller: VerbsID, _ request: VerbsIntroduction.Request, _ state: State
    ) -> VerbsLink? {
        guard let events = try? VerbsEvents(), (try? caller.migrate(to: events)) != nil else { return nil }
        _ = crdma_set_ack_timeout(caller.pointer, VerbsBounds.ackTimeoutExponent)
        guard
            let link = try? VerbsLink(caller, domain: state.domain, geometry: state.geometry, isClient: false)
        else { return nil }
        let answer = state.introduction.accept(nonce: request.nonce, window: link.window)
        let code = answer.withUnsafeBufferPointer { data in
            var parameters = link.parameters(data)
            return crdma_accept(caller.pointer, &parameters)
        }
        guard code == 0,
            case .connected = events.next(until: MonotonicDeadline(in: VerbsBounds.finishNanoseconds))
        else { return nil }
        // A client that gave up while its connect lay in the queue must not cost the lease a worker.
        guard events.next() == nil else { return nil }
        return link
    }

    /// Lets a worker be connected to once more, after its client's endpoint was lost. For the executor.
    public func free(worker: Int) { state.withLock { $0.doorkeeper.free(worker: worker) } }

    /// Stops listening; connections that were accepted stay. Idempotent.
    public func close() { state.withLock { $0.id = nil } }
}
