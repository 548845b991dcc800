internal import CFabric
internal import FallowTransport
internal import Glibc
internal import Synchronization
internal import TransportHandshake

/// What a listener opens for a client that it lets in.
protocol FabricAcceptable: AnyObject {
    var pipe: FabricPipe { get }
    /// What the client gets to know.
    var window: FabricWindow { get }
}

/// What listeners of every kind do: nobody gets in who cannot prove the lease's secret.
///
/// A connect has to prove it before anything is opened or registered for it: an HMAC-SHA256 over version, lease, worker,
/// nonce, shape, the client's window and this listener's address, compared in constant time. No nonce counts twice
/// (`Doorkeeper`). What fails is refused and counted, and tells the peer nothing but that.
final class FabricDoor<Link: FabricAcceptable>: Sendable {
    typealias Opening = @Sendable (FabricInformation, FabricRoot, inout Bool) throws(FabricError) -> Link

    let address: String
    let descriptor: CInt
    private let state: Mutex<State>
    private let open: Opening

    private struct State {
        let introduction: FabricIntroduction
        let root: FabricRoot
        let events: FabricEvents
        var passive: UnsafeMutablePointer<fid_pep>?
        var doorkeeper: Doorkeeper
    }
    private static var finishNanoseconds: Int64 { 1_000_000_000 }

    /// A client that was let in.
    struct Accepted: @unchecked Sendable {
        var worker: Int
        var link: Link
        var window: FabricWindow
    }

    /// - Parameters:
    ///   - introduction: made for the address once that is known.
    ///   - open: what a connection needs, given what libfabric said of it; as `FabricPipe.init`.
    init(
        bindAddress: String, workers: Int, introduction: (_ address: String) -> FabricIntroduction,
        open: @escaping Opening
    ) throws(FabricError) {
        let information = try FabricInformation(host: bindAddress, port: "0", listening: true)
        let root = try FabricRoot(information)
        let events = try FabricEvents(root)
        let passive = try fabricOpened("a listener at '\(bindAddress)'") {
            fi_passive_ep(root.fabric, information.pointer, $0, nil)
        }
        let port: UInt16
        do throws(FabricError) {
            try fabricCheck(fi_pep_bind(passive, fid(events.queue), 0), "bind the listener's events")
            try fabricCheck(fi_listen(passive), "listen at '\(bindAddress)'")
            port = try Self.port(of: passive)
        } catch {
            fi_close(fid(passive))
            throw error
        }
        address = NumericAddress.joined(host: bindAddress, port: port)
        nonisolated(unsafe) let initial = State(
            introduction: introduction(address), root: root, events: events, passive: passive,
            doorkeeper: Doorkeeper(workers: workers))
        descriptor = events.descriptor
        state = Mutex(initial)
        self.open = open
    }

    deinit { close() }

    private static func port(of passive: UnsafeMutablePointer<fid_pep>) throws(FabricError) -> UInt16 {
        var name = sockaddr_in6()
        var length = MemoryLayout<sockaddr_in6>.size
        try fabricCheck(fi_getname(fid(passive), &name, &length), "tell the listener's address")
        // The port is at the same place in an IPv4 and an IPv6 name.
        return UInt16(bigEndian: name.sin6_port)
    }

    var refusals: [String: Int] { state.withLock { $0.doorkeeper.refusals } }
    func free(worker: Int) { state.withLock { $0.doorkeeper.free(worker: worker) } }

    /// Waits for the next client whose proof holds. Blocks, at most for `timeout` (and 1 s more while it finishes a
    /// connection).
    /// - Throws: `timedOut`; `peerLost` once it is closed.
    func acceptNext(timeout: Duration) throws(TransportError) -> Accepted {
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        while true {
            // In slices, so that `close` and the counts are not held up by a long wait.
            let slice = MonotonicDeadline(in: min(Int64(deadline.millisecondsLeft), 50) * 1_000_000)
            let accepted = state.withLock { state -> Result<Accepted?, TransportError> in
                guard let passive = state.passive else { return .failure(.peerLost) }
                guard case .request(let information, let data) = state.events.next(until: slice) else {
                    return .success(nil)
                }
                return .success(answer(information, data, passive, &state))
            }
            if let accepted = try accepted.get() { return accepted }
            if deadline.hasPassed { throw .timedOut }
        }
    }

    /// Accepts or refuses one connect.
    private func answer(
        _ information: FabricInformation, _ data: [UInt8], _ passive: UnsafeMutablePointer<fid_pep>,
        _ state: inout State
    ) -> Accepted? {
        var hasTakenHandle = false
        do throws(HandshakeComplaint) {
            let request = try state.introduction.check(request: data, workers: state.doorkeeper.workers)
            try state.doorkeeper.admit(worker: request.worker, nonce: request.nonce)
            guard let link = finish(information, request, state, &hasTakenHandle) else { throw .resources }
            state.doorkeeper.take(worker: request.worker)
            return Accepted(worker: request.worker, link: link, window: request.window)
        } catch {
            state.doorkeeper.count(error)
            if !hasTakenHandle {
                let refusal = FabricIntroduction.refusal
                fi_reject(passive, information.pointer.pointee.handle, refusal, refusal.count)
            }
            return nil
        }
    }

    /// Opens what the connection needs and accepts it; nil when the system or the peer did not go along.
    private func finish(
        _ information: FabricInformation, _ request: FabricIntroduction.Request, _ state: State,
        _ hasTakenHandle: inout Bool
    ) -> Link? {
        guard let link = try? open(information, state.root, &hasTakenHandle) else { return nil }
        let pipe = link.pipe
        let answer = state.introduction.accept(nonce: request.nonce, window: link.window)
        guard fi_accept(pipe.endpoint, answer, answer.count) == 0,
            case .connected = pipe.events.next(until: MonotonicDeadline(in: Self.finishNanoseconds))
        else { return nil }
        // A client that gave up while its connect lay in the queue must not cost the lease a worker.
        guard !pipe.isAlreadyGone else { return nil }
        pipe.boundSilence()
        return link
    }

    /// Idempotent.
    func close() {
        state.withLock { state in
            if let passive = state.passive { fi_close(fid(passive)) }
            state.passive = nil
        }
    }
}
