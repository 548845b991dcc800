internal import CLinux
internal import FallowTransport
internal import FallowWire
internal import Synchronization

/// A worker's connection over one kind of endpoint.
final class EndpointConnection<Connection: Endpoint & ~Copyable>: WorkerConnection, @unchecked Sendable {
    private let ring: Mutex<Ring<Connection>>
    private let fate: LeaseFate
    private let agent: AgentConnection

    init(endpoint: consuming Connection, names: FunctionNames, fate: LeaseFate, agent: AgentConnection) {
        ring = Mutex(Ring(endpoint: endpoint, names: names))
        self.fate = fate
        self.agent = agent
    }

    override func submit(_ call: Call, input: UnsafeRawBufferPointer) -> Admission {
        ring.withLock { ring in
            if ring.isOver { return .over }
            let admission: Admission? = guarded(&ring) { ring throws(TransportError) in
                if ring.callCount == ring.slotCount { try ring.receive(polls: 1) }
                guard try ring.admit(call, input: input) else { return .full }
                // An idle worker says in microseconds what its index for the function is: then the call starts at once,
                // and not when somebody waits for it.
                let end = monotonicNanoseconds() + WaitPolicy.questionNanoseconds
                while ring.isAskingOnly, monotonicNanoseconds() < end {
                    try ring.receive(polls: 64)
                    if ring.isAskingOnly { try ring.sleep(atMostNanoseconds: 200_000) }
                }
                return .taken
            }
            // A call that was on its way when the connection broke has its outcome already.
            return admission ?? (call.isDone ? .taken : .over)
        }
    }

    override func progress(until call: Call?, polls: Int) -> Bool {
        let outcome: Void? = ring.withLockIfAvailable { ring in
            if ring.isOver { return }
            _ = guarded(&ring) { ring throws(TransportError) in
                var polls = polls
                while polls > 0, call?.isDone != true {
                    let batch = min(polls, 16)
                    try ring.receive(polls: batch)
                    polls -= batch
                }
            }
            if fate.isOver, !ring.isOver { finish(&ring) }
        }
        return outcome != nil
    }

    override func sleepTurn(atMostNanoseconds timeout: Int64) -> Bool {
        let outcome: Void? = ring.withLockIfAvailable { ring in
            if ring.isOver { return }
            _ = guarded(&ring) { ring throws(TransportError) in
                try ring.sleep(atMostNanoseconds: timeout)
                try ring.receive(polls: 1)
            }
            if fate.isOver, !ring.isOver { finish(&ring) }
            // The turn is free now: somebody who sleeps without watching takes it.
            ring.wakeOneSleeper()
        }
        return outcome != nil
    }

    override func abandon(_ call: Call) { ring.withLock { _ in call.abandon() } }

    override func end() { ring.withLock { ring in if !ring.isOver { finish(&ring) } } }

    /// Runs a body; a transport's error ends the connection.
    private func guarded<Value>(
        _ ring: inout Ring<Connection>, _ body: (inout Ring<Connection>) throws(TransportError) -> Value
    ) -> Value? {
        defer {
            callsInFlight.store(ring.callCount, ordering: .relaxed)
            callsUnsent.store(ring.unsentCount, ordering: .relaxed)
        }
        do throws(TransportError) {
            return try body(&ring)
        } catch {
            if error == .peerLost {
                // The agent knows why, and says it within milliseconds.
                agent.hear(of: fate, atMost: .milliseconds(40))
            }
            if !fate.isOver {
                let detail = error == .peerLost ? "it is gone" : "a connection to it was given up: \(error)"
                fate.end(.executorDied, detail: detail)
                agent.post(.release, leaseID: fate.leaseID)
            }
            finish(&ring)
            return nil
        }
    }

    private func finish(_ ring: inout Ring<Connection>) {
        ring.end(fate.sentence, isExecutorDead: fate.isAgentsWord)
        callsInFlight.store(0, ordering: .relaxed)
        callsUnsent.store(0, ordering: .relaxed)
    }
}
