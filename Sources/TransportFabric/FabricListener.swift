internal import CFabric
public import FallowModel
public import FallowTransport
internal import Glibc
internal import Synchronization
internal import TransportHandshake

/// A client that was accepted: which worker it speaks to, and the connection.
public struct FabricAccepted: ~Copyable, Sendable {
    public let worker: Int
    private var endpoint: FabricEndpoint

    init(worker: Int, endpoint: consuming FabricEndpoint) {
        self.worker = worker
        self.endpoint = endpoint
    }
    /// The connection, to be owned by the worker's thread.
    public consuming func takeEndpoint() -> FabricEndpoint { endpoint }
}

/// Where an executor waits for the client of its lease. One connection for each worker, each accepted once.
///
/// A connect has to prove the lease's secret before anything is opened or registered for it: an HMAC-SHA256 over version,
/// lease, worker, nonce, geometry, the client's window and this listener's address, compared in constant time. No nonce
/// counts twice (`Doorkeeper`). What fails is refused and counted, and tells the peer nothing but that.
public final class FabricListener: Sendable {
    /// Where it listens: "host:port", the host numeric. What clients have to be told, letter for letter.
    public let address: String

    /// Readable when somebody may want to connect; to be slept on beside others. The provider may forget to signal.
    public let descriptor: Int32

    private let state: Mutex<State>

    private struct State {
        let introduction: FabricIntroduction
        let root: FabricRoot
        let events: FabricEvents
        var passive: UnsafeMutablePointer<fid_pep>?
        var doorkeeper: Doorkeeper
    }
    private static let finishNanoseconds: Int64 = 1_000_000_000

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - bindAddress: a numeric address of this node.
    ///   - secret: the lease's, 32 bytes.
    public init(
        bindAddress: String, leaseID: LeaseID, secret: [UInt8], geometry: ArenaGeometry, workers: Int
    ) throws(FabricError) {
        if let complaint = geometry.complaint { throw FabricError(complaint, code: EINVAL) }
        guard secret.count == 32 else {
            throw FabricError("a lease's secret has 32 bytes, not \(secret.count)", code: EINVAL)
        }
        guard workers > 0 else { throw FabricError("a listener needs at least one worker", code: EINVAL) }
        let information = try FabricInformation(host: bindAddress, port: "0", listening: true)
        let root = try FabricRoot(information)
        let events = try FabricEvents(root)
        var opened: UnsafeMutablePointer<fid_pep>?
        try fabricCheck(fi_passive_ep(root.fabric, information.pointer, &opened, nil), "listen at '\(bindAddress)'")
        guard let passive = opened else { throw FabricError("libfabric opened no listener", code: EIO) }
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
        let introduction = FabricIntroduction(leaseID: leaseID, secret: secret, address: address, geometry: geometry)
        nonisolated(unsafe) let initial = State(
            introduction: introduction, root: root, events: events, passive: passive,
            doorkeeper: Doorkeeper(workers: workers))
        descriptor = events.descriptor
        state = Mutex(initial)
    }

    deinit { close() }

    private static func port(of passive: UnsafeMutablePointer<fid_pep>) throws(FabricError) -> UInt16 {
        var name = sockaddr_in6()
        var length = MemoryLayout<sockaddr_in6>.size
        try fabricCheck(fi_getname(fid(passive), &name, &length), "tell the listener's address")
        // The port is at the same place in an IPv4 and an IPv6 name.
        return UInt16(bigEndian: name.sin6_port)
    }

    /// How many connects were turned away so far.
    public var refusedCount: Int { state.withLock { $0.doorkeeper.refusals.values.reduce(0, +) } }
    /// The same by reason ("proof", "version", "replayed", …).
    public var refusals: [String: Int] {
        state.withLock { $0.doorkeeper.refusals }
    }

    /// Waits for the next client whose proof holds. Blocks, at most for `timeout` (and 1 s more while it finishes a
    /// connection). Connects that are refused or never finished do not end the wait, nor hold others up.
    /// - Parameter firstSequence: as in `ShmArena.endpoint`; 0 outside tests.
    /// - Throws: `timedOut`; `peerLost` once the listener is closed.
    public func acceptNext(
        timeout: Duration, firstSequence: UInt32 = 0
    ) throws(TransportError) -> FabricAccepted {
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        while true {
            // In slices, so that `close` and the counts are not held up by a long wait.
            let slice = MonotonicDeadline(in: min(Int64(deadline.millisecondsLeft), 50) * 1_000_000)
            let accepted = state.withLock { state -> Result<Accepted?, TransportError> in
                guard let passive = state.passive else { return .failure(.peerLost) }
                guard case .request(let information, let data) = state.events.next(until: slice) else {
                    return .success(nil)
                }
                return .success(Self.answer(information, data, passive, &state))
            }
            if let accepted = try accepted.get() {
                let endpoint = FabricEndpoint(
                    accepted.link, peer: accepted.window, geometry: accepted.geometry, isClient: false,
                    firstSequence: firstSequence)
                return FabricAccepted(worker: accepted.worker, endpoint: endpoint)
            }
            if deadline.hasPassed { throw .timedOut }
        }
    }

    private struct Accepted: @unchecked Sendable {
        var worker: Int
        var link: FabricLink
        var window: FabricWindow
        var geometry: ArenaGeometry
    }

    /// Accepts or refuses one connect.
    private static func answer(
        _ information: FabricInformation, _ data: [UInt8], _ passive: UnsafeMutablePointer<fid_pep>,
        _ state: inout State
    ) -> Accepted? {
        var hasTakenHandle = false
        do throws(HandshakeComplaint) {
            let request = try state.introduction.check(request: data, workers: state.doorkeeper.workers)
            try state.doorkeeper.admit(worker: request.worker, nonce: request.nonce)
            guard let link = finish(information, request, state, &hasTakenHandle) else { throw .resources }
            state.doorkeeper.take(worker: request.worker)
            return Accepted(
                worker: request.worker, link: link, window: request.window, geometry: state.introduction.geometry)
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
    private static func finish(
        _ information: FabricInformation, _ request: FabricIntroduction.Request, _ state: State,
        _ hasTakenHandle: inout Bool
    ) -> FabricLink? {
        let introduction = state.introduction
        guard
            let link = try? FabricLink(
                information, root: state.root, geometry: introduction.geometry, isClient: false,
                hasTakenHandle: &hasTakenHandle)
        else { return nil }
        let answer = introduction.accept(nonce: request.nonce, window: link.window)
        guard fi_accept(link.endpoint, answer, answer.count) == 0,
            case .connected = link.events.next(until: MonotonicDeadline(in: finishNanoseconds))
        else { return nil }
        // A client that gave up while its connect lay in the queue must not cost the lease a worker.
        guard !link.isAlreadyGone else { return nil }
        link.boundSilence()
        return link
    }

    /// Lets a worker be connected to once more, after its client's endpoint was lost. For the executor.
    public func free(worker: Int) {
        state.withLock { $0.doorkeeper.free(worker: worker) }
    }

    /// Stops listening; connections that were accepted stay. Idempotent.
    public func close() {
        state.withLock { state in
            if let passive = state.passive { fi_close(fid(passive)) }
            state.passive = nil
        }
    }
}
