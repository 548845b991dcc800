import FallowTransport
import Glibc
import Testing
import TransportTesting

extension TransportTests {
    /// What happens to a client when its executor, another process, goes or stops.
    @Suite struct PeerDeathTests {
        @Test(arguments: Transport.allCases, [WaitMode.polling, .sleeping])
        func aKilledPeerIsLostAtOnce(_ transport: Transport, _ mode: WaitMode) throws {
            struct Check: ClientCheck {
                let mode: WaitMode
                let bound: Duration
                func run<E: Endpoint & ~Copyable>(client: consuming E, peer: PeerProcess) throws {
                    var caller = Caller(client)
                    for _ in 0..<100 {
                        try caller.send(500)
                        try caller.receive(500, mode)
                    }
                    let clock = ContinuousClock()
                    nonisolated(unsafe) var killed = clock.now
                    let killer = PeerThread { [id = peer.id] in
                        usleep(100_000)
                        killed = clock.now
                        kill(id, SIGKILL)
                    }
                    #expect(throws: TransportError.peerLost) { try caller.receive(1, mode) }
                    let lost = clock.now
                    killer.join()
                    #expect(lost >= killed)
                    #expect(lost - killed < bound)
                    #expect(peer.reap() == -SIGKILL)
                }
            }
            try transport.process(Check(mode: mode, bound: transport.bound), mode: mode.rawValue)
        }

        @Test(arguments: Transport.allCases, [WaitMode.polling, .sleeping])
        func aStoppedPeerTimesOutAndGoesOn(_ transport: Transport, _ mode: WaitMode) throws {
            struct Check: ClientCheck {
                let mode: WaitMode
                let slack: Duration
                func run<E: Endpoint & ~Copyable>(client: consuming E, peer: PeerProcess) throws {
                    var caller = Caller(client)
                    try caller.send(10)
                    try caller.receive(10, mode)
                    peer.signal(SIGSTOP)
                    usleep(50_000)
                    try caller.send(10)
                    let took = ContinuousClock().measure {
                        #expect(throws: TransportError.timedOut) {
                            try caller.receive(10, mode, timeout: .milliseconds(300))
                        }
                    }
                    #expect(took > .milliseconds(290) && took < .milliseconds(500) + slack)
                    peer.signal(SIGCONT)
                    try caller.receive(10, mode)
                    caller.endpoint.close()
                    // It notices that we went, and ends by itself.
                    #expect(peer.reap() == 0)
                }
            }
            try transport.process(Check(mode: mode, slack: transport.bound), mode: mode.rawValue)
        }

        @Test(arguments: Transport.allCases)
        func twoProcessesExchangeWhole(_ transport: Transport) throws {
            struct Check: ClientCheck {
                let rounds: Int
                func run<E: Endpoint & ~Copyable>(client: consuming E, peer: PeerProcess) throws {
                    var caller = Caller(client)
                    for round in 0..<rounds {
                        let bytes = round % 100 == 0 ? 8192 : round % 70
                        try caller.send(bytes)
                        try caller.receive(bytes, .mixed)
                    }
                    caller.endpoint.close()
                    #expect(peer.reap() == 0)
                }
            }
            try transport.process(Check(rounds: transport.messages(20_000)), mode: "mixed")
        }
    }
}
