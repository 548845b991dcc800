internal import CLinux
internal import FallowTransport
internal import FallowWire
internal import Synchronization

/// What a `WorkerConnection` does, for one kind of endpoint: the ring under its lock, and who watches it.
///
/// The state lies in memory of its own: a class's stored property would be checked for overlapping access at each use.
struct WorkerCore<Connection: Endpoint & ~Copyable>: @unchecked Sendable {
    struct State: ~Copyable {
        let lock = TurnLock()
        var ring: Ring<Connection>
        /// Whether a thread watches the worker for everybody.
        var isWatched = false
        /// Threads that announced a sleep on the endpoint's event.
        var sleeperCount = 0
        /// Whose connection it is.
        var owner: Unmanaged<WorkerConnection>?

        init(ring: consuming Ring<Connection>) { self.ring = ring }
    }

    let state: UnsafeMutablePointer<State>
    let fate: LeaseFate
    let agent: AgentConnection
    let counts: UnsafeMutablePointer<WorkerCounts>

    init(
        endpoint: consuming Connection, names: FunctionNames, buffers: BufferArea?, fate: LeaseFate,
        agent: AgentConnection
    ) {
        counts = .allocate(capacity: 1)
        counts.initialize(to: WorkerCounts())
        state = .allocate(capacity: 1)
        state.initialize(to: State(ring: Ring(endpoint: endpoint, names: names, buffers: buffers)))
        self.fate = fate
        self.agent = agent
    }

    func attach(to owner: WorkerConnection) { state.pointee.owner = .passUnretained(owner) }

    func destroy() {
        state.deinitialize(count: 1)
        state.deallocate()
        counts.deinitialize(count: 1)
        counts.deallocate()
    }

    /// Polls that a call spends on its reply with the lock held: about 3 µs. No clock is read meanwhile.
    private static var firstPolls: Int { 96 }

    var isPeerAsleep: Bool { state.pointee.ring.endpoint.isPeerAsleep }

    @inline(__always)
    func call(_ call: CallPointer) -> WorkerConnection.Admission {
        state.pointee.lock.lock()
        guard isUsable() else {
            state.pointee.lock.unlock()
            return .over
        }
        do throws(TransportError) {
            call.pointee.worker = state.pointee.owner
            try state.pointee.ring.admit(call)
            try state.pointee.ring.endpoint.flush()
            publish()
            // Behind many others its own answer is not near.
            var polls = state.pointee.ring.callCount <= WaitPolicy.fewCalls ? Self.firstPolls : 0
            while polls > 0, !call.pointee.isDone, !state.pointee.lock.isWanted {
                if try !state.pointee.ring.receive() { clinux_pause() }
                polls -= 1
            }
            finishTurn()
            return .taken
        } catch {
            return fail(error, call)
        }
    }

    func submit(_ calls: UnsafeBufferPointer<CallPointer>) -> (count: Int, WorkerConnection.Admission) {
        state.pointee.lock.lock()
        guard isUsable() else {
            state.pointee.lock.unlock()
            return (0, .over)
        }
        var taken = 0
        do throws(TransportError) {
            if state.pointee.ring.callCount + calls.count > state.pointee.ring.slotCount {
                _ = try state.pointee.ring.receive()
            }
            while taken < calls.count, state.pointee.ring.callCount < state.pointee.ring.slotCount {
                let call = calls[taken]
                taken += 1
                call.pointee.worker = state.pointee.owner
                try state.pointee.ring.admit(call)
                if !call.pointee.isSent { call.pointee.copyInput() }
            }
            try state.pointee.ring.endpoint.flush()
            if state.pointee.ring.isAskingOnly { try awaitIndex() }
            finishTurn()
            return (taken, taken == calls.count ? .taken : .full)
        } catch {
            // Calls that were on their way when the connection broke have their outcomes already.
            let admission = fail(error, taken > 0 ? calls[taken - 1] : nil)
            return (taken, taken == calls.count ? .taken : admission)
        }
    }

    /// An idle worker says in microseconds what its index for the function is: then calls start at once, and not when
    /// somebody waits for them.
    private func awaitIndex() throws(TransportError) {
        let end = monotonicNanoseconds() + WaitPolicy.questionNanoseconds
        while state.pointee.ring.isAskingOnly, monotonicNanoseconds() < end {
            try state.pointee.ring.receive(polls: 64)
            if state.pointee.ring.isAskingOnly {
                _ = try state.pointee.ring.endpoint.sleep(atMost: .nanoseconds(200_000))
            }
        }
    }

    func progress(until call: CallPointer?, polls: Int) -> Bool {
        guard state.pointee.lock.tryLock() else { return false }
        if state.pointee.ring.isOver {
            state.pointee.lock.unlock()
            return true
        }
        do throws(TransportError) {
            var polls = polls
            while polls > 0, call?.pointee.isDone != true {
                let hasCome = try state.pointee.ring.receive()
                if hasCome, call == nil { break }
                if !hasCome { clinux_pause() }
                polls -= 1
                if state.pointee.lock.isWanted { break }
            }
            if fate.isOver { finish() }
            finishTurn()
        } catch {
            _ = fail(error, call)
        }
        return true
    }

    func abandon(_ call: CallPointer) {
        state.pointee.lock.lock()
        _ = state.pointee.ring.abandon(call)
        publish()
        state.pointee.lock.unlock()
    }

    func end() {
        state.pointee.lock.lock()
        if !state.pointee.ring.isOver { finish() }
        finishTurn()
    }

    // With the lock held.

    /// Whether calls can be sent. An end that shows in memory is heard of before anything is sent; over a network the agent's
    /// word is asked for now and then.
    @inline(__always)
    private func isUsable() -> Bool {
        if state.pointee.ring.isOver { return false }
        switch state.pointee.ring.endpoint.showsEnd {
        case .some(false): return true
        case .some(true): break
        case .none:
            agent.pumpIfDue(now: monotonicNanoseconds())
            if !fate.isOver { return true }
        }
        do throws(TransportError) {
            _ = try state.pointee.ring.receive()
            if fate.isOver { finish() } else { throw .peerLost }
        } catch {
            giveUp(error)
        }
        wakeInterrupted()
        return false
    }

    /// What others see without the lock.
    @inline(__always)
    private func publish() {
        counts.pointee.callsInFlight.store(state.pointee.ring.callCount, ordering: .relaxed)
        counts.pointee.callsUnsent.store(state.pointee.ring.backlog.count, ordering: .relaxed)
    }

    /// Gives the lock back.
    @inline(__always)
    func finishTurn() {
        publish()
        if state.pointee.ring.mustInterrupt { wakeInterrupted() }
        state.pointee.lock.unlock()
    }

    private func wakeInterrupted() {
        state.pointee.ring.mustInterrupt = false
        if state.pointee.sleeperCount > 0 { state.pointee.ring.endpoint.wakeOwnSleepers() }
    }

    /// A transport's error ends the connection. Gives the lock back.
    func fail(_ error: TransportError, _ call: CallPointer?) -> WorkerConnection.Admission {
        giveUp(error)
        // A call that was on its way when the connection broke has its outcome already.
        let admission: WorkerConnection.Admission = call?.pointee.isDone == true ? .taken : .over
        finishTurn()
        return admission
    }

    private func giveUp(_ error: TransportError) {
        if error == .peerLost {
            // The agent knows why, and says it within milliseconds, unless the node is very busy.
            agent.hear(of: fate, atMost: .milliseconds(40))
        }
        if !fate.isOver {
            if error == .peerLost, let reason = fate.writtenReason {
                fate.end(reason)
            } else {
                let detail = error == .peerLost ? "it is gone" : "a connection to it was given up: \(error)"
                fate.end(.executorDied, detail: detail)
            }
            agent.post(.release, leaseID: fate.leaseID)
        }
        if !state.pointee.ring.isOver { finish() }
    }

    private func finish() {
        state.pointee.ring.end(isExecutorDead: fate.isAgentsWord)
        publish()
    }
}
