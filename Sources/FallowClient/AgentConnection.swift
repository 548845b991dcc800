internal import FallowLocal
internal import FallowModel
internal import FallowWire
internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// The conversation with this node's agent: requests and their answers, and the events that come in between.
///
/// There is no thread behind it: whoever waits for anything reads what has come, for everybody. Thread-safe.
final class AgentConnection: Sendable {
    /// How often waiting threads look for events.
    static let pumpIntervalNanoseconds: Int64 = 20_000_000
    /// Most answers and leases kept track of.
    private static let bound = 4096

    private struct State {
        let lines: BlockingLines
        var nextID: UInt64 = 1
        var awaited: Set<UInt64> = []
        var answers: [UInt64: Answer] = [:]
        var fates: [LeaseID: LeaseFate] = [:]
        /// Why the conversation is over.
        var fault: FallowError?
    }
    struct Answer {
        var reply: LocalReply
        var descriptors: [Int32]
        var fate: LeaseFate?
    }

    private let state: Mutex<State>
    private let descriptor: Int32
    private let lastPump = Atomic<Int64>(0)

    init(socketPath: String, timeout: Duration) throws(FallowError) {
        do {
            let connection = try LocalConnection.connect(path: socketPath, type: .stream, timeout: timeout)
            descriptor = connection.descriptor
            state = Mutex(State(lines: BlockingLines(connection)))
        } catch {
            throw FallowError(
                error.code == .badPath ? .invalid : .noAgent,
                "no agent answers on this node: \(error) (is fallowd running? FALLOW_CLIENT_SOCKET names its socket)")
        }
    }

    /// Sends a request and waits for its answer, at most for the time-out.
    /// - Parameter meanwhile: what can be done while the agent is at it.
    /// - Returns: an answer that is not `.error`; its descriptors are the caller's.
    func exchange(
        _ kind: LocalRequest.Kind, lease: LeaseDemand? = nil, leaseID: LeaseID? = nil, termSeconds: Double? = nil,
        descriptors: [Int32] = [], timeout: Duration, meanwhile: () -> Void = {}
    ) throws(FallowError) -> Answer {
        let deadline = monotonicNanoseconds() + timeout.nanoseconds
        let id = try begin(
            LocalRequest(id: 0, kind: kind, lease: lease, leaseID: leaseID, termSeconds: termSeconds), descriptors)
        meanwhile()
        return try answer(to: id, kind, until: deadline)
    }

    /// Sends a request whose answer has to be waited for, once, with `answer`.
    /// - Returns: the number by which it goes.
    func begin(_ request: LocalRequest, _ descriptors: [Int32] = []) throws(FallowError) -> UInt64 {
        try send(request, descriptors: descriptors, isAwaited: true)
    }

    /// Waits for the answer to a request.
    /// - Parameter deadline: by the monotonic clock.
    /// - Returns: as `exchange`.
    func answer(
        to id: UInt64, _ kind: LocalRequest.Kind, until deadline: Int64
    ) throws(FallowError) -> Answer {
        while true {
            let (answer, fault) = state.withLock { state in
                Self.pump(&state)
                return (state.answers.removeValue(forKey: id), state.fault)
            }
            if let answer {
                if let error = answer.reply.error { throw FallowError(error) }
                return answer
            }
            if let fault { throw fault }
            let left = deadline - monotonicNanoseconds()
            guard left > 0 else {
                // A lease that is granted after all goes back as soon as its answer comes.
                if state.withLock({ $0.awaited.remove(id) }) == nil { continue }
                throw FallowError(.timedOut, "the node's agent did not answer '\(kind.rawValue)' in time")
            }
            var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&watched, 1, Int32(min(5, left / 1_000_000 + 1)))
        }
    }

    /// Sends a request whose answer nobody waits for.
    func post(_ kind: LocalRequest.Kind, leaseID: LeaseID) {
        _ = try? send(LocalRequest(id: 0, kind: kind, leaseID: leaseID), descriptors: [], isAwaited: false)
    }

    /// Takes in the events that have come, if nobody did so lately. Never blocks.
    func pumpIfDue(now: Int64) {
        let last = lastPump.load(ordering: .relaxed)
        guard now - last >= Self.pumpIntervalNanoseconds,
            lastPump.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
        else { return }
        _ = state.withLockIfAvailable { Self.pump(&$0) }
    }

    /// Waits a little for the agent's word on a lease that can no longer be reached; it knows why.
    func hear(of fate: LeaseFate, atMost timeout: Duration) {
        let deadline = monotonicNanoseconds() + timeout.nanoseconds
        while !fate.isOver {
            let fault = state.withLock { state in
                Self.pump(&state)
                return state.fault
            }
            let left = deadline - monotonicNanoseconds()
            if fault != nil || left <= 0 { return }
            var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&watched, 1, Int32(min(5, left / 1_000_000 + 1)))
        }
    }

    func forget(_ lease: LeaseID) { state.withLock { _ = $0.fates.removeValue(forKey: lease) } }

    /// Ends the conversation and every lease with it; the descriptor stays until nobody uses the connection any more.
    func shut() {
        state.withLock { state in
            _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR))
            Self.fail(&state, FallowError(.noAgent, "the client was closed"), .clientGone)
        }
    }

    private func send(
        _ request: LocalRequest, descriptors: [Int32], isAwaited: Bool
    ) throws(FallowError) -> UInt64 {
        let outcome = state.withLock { state -> Result<UInt64, FallowError> in
            if let fault = state.fault { return .failure(fault) }
            guard state.awaited.count < Self.bound else {
                return .failure(FallowError(.full, "\(Self.bound) requests wait for the node's agent already"))
            }
            var request = request
            request.id = state.nextID
            state.nextID += 1
            do {
                let bytes = try JSONEncoder().encode(request)
                try state.lines.send(bytes, descriptors: descriptors, timeout: .seconds(5))
            } catch {
                let fault = FallowError(.noAgent, "the node's agent cannot be told anything: \(error)")
                Self.fail(&state, fault, .agentGone)
                return .failure(fault)
            }
            if isAwaited { state.awaited.insert(request.id) }
            return .success(request.id)
        }
        return try outcome.get()
    }

    /// Takes in everything that has come.
    private static func pump(_ state: inout State) {
        guard state.fault == nil else { return }
        while true {
            do throws(LocalError) {
                guard let message = try state.lines.receive(timeout: .zero) else {
                    return fail(&state, FallowError(.noAgent, "the node's agent closed the connection"), .agentGone)
                }
                take(message, &state)
                if state.fault != nil { return }
            } catch {
                if error.code == .timedOut { return }
                return fail(&state, FallowError(.noAgent, "the node's agent was lost: \(error)"), .agentGone)
            }
        }
    }

    private static func take(_ message: LineMessage, _ state: inout State) {
        guard let reply = try? JSONDecoder().decode(LocalReply.self, from: Data(message.bytes)) else {
            for descriptor in message.descriptors { close(descriptor) }
            let text = String(decoding: message.bytes.prefix(80), as: UTF8.self)
            return fail(
                &state, FallowError(.internalError, "the node's agent said what is no answer: '\(text)'"), .agentGone)
        }
        if reply.kind == .ended {
            for descriptor in message.descriptors { close(descriptor) }
            guard let id = reply.leaseID else { return }
            state.fates[id]?.end(reply.reason ?? .withdrawn, detail: reply.error?.message, isAgentsWord: true)
            return
        }
        guard let id = reply.id, state.awaited.remove(id) != nil else {
            // Nobody waits for it (any more).
            for descriptor in message.descriptors { close(descriptor) }
            if reply.kind == .leased, let late = reply.lease?.leaseID { giveBack(late, &state) }
            return
        }
        var fate: LeaseFate?
        if reply.kind == .leased, let lease = reply.lease, state.fates.count < bound {
            fate = LeaseFate(leaseID: lease.leaseID)
            state.fates[lease.leaseID] = fate
        }
        state.answers[id] = Answer(reply: reply, descriptors: message.descriptors, fate: fate)
    }

    private static func giveBack(_ lease: LeaseID, _ state: inout State) {
        let request = LocalRequest(id: state.nextID, kind: .release, leaseID: lease)
        state.nextID += 1
        if let bytes = try? JSONEncoder().encode(request) { try? state.lines.send(bytes, timeout: .seconds(1)) }
    }

    private static func fail(_ state: inout State, _ fault: FallowError, _ reason: LeaseEnd) {
        if state.fault == nil { state.fault = fault }
        for fate in state.fates.values { fate.end(reason) }
        state.fates.removeAll()
        _ = Glibc.shutdown(state.lines.connection.descriptor, Int32(SHUT_RDWR))
    }
}
