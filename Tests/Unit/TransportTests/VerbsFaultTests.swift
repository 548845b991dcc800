import FallowTransport
import Glibc
import Testing
import TransportHandshake
import TransportTesting

import TransportVerbs

extension TransportTests {
    /// What a peer that breaks the rules, or a network that breaks, can do over RDMA: end its own connection.
    @Suite(.enabled(if: RDMAHere.isThere, "no RDMA device on this machine: `make test-rdma` runs these in a guest"))
    struct VerbsFaultTests {
        /// Connects as somebody who knows the secret and does not keep to the rest.
        private func intruder(
            _ serving: VerbsServing, worker: Int = 0, firstSequence: UInt32 = 0,
            window: (VerbsWindow) -> VerbsWindow = { $0 }
        ) throws -> VerbsEndpoint {
            let introduction = VerbsIntroduction(
                leaseID: someLease, secret: someSecret, address: serving.listener.address, geometry: smallGeometry)
            let nonce = ProofKey.freshNonce()
            let deadline = MonotonicDeadline(in: 5_000_000_000)
            do throws(VerbsCallFailure) {
                let call = try RDMAHere.connector(to: serving.listener.address).open(until: deadline)
                try call.send(introduction.request(worker: worker, nonce: nonce, window: call.link.window))
                let answer = try call.accepted(until: deadline)
                guard let theirs = introduction.check(accept: answer, nonce: nonce) else { throw .final(.refused) }
                return VerbsEndpoint(
                    call.link, peer: window(theirs), geometry: smallGeometry, isClient: true,
                    firstSequence: firstSequence)
            } catch { throw error.error }
        }

        @Test func aWriteOutsideTheWindowEndsTheConnection() throws {
            let serving = try VerbsServing(workers: 3)
            defer { serving.end() }
            var caller = Caller(
                try intruder(serving) {
                    VerbsWindow(
                        address: $0.address + UInt64(smallGeometry.slotCount * smallGeometry.inputStrideBytes),
                        key: $0.key)
                })
            try caller.send(10)
            #expect(throws: TransportError.protocolViolation) { try caller.receive(10, .sleeping) }
            var guesser = Caller(try intruder(serving, worker: 1) { VerbsWindow(address: $0.address, key: $0.key ^ 1) })
            try guesser.send(10)
            #expect(throws: TransportError.protocolViolation) { try guesser.receive(10, .polling) }
            try serving.exchange(worker: 2)
        }

        @Test func anImmediateOutOfTurnEndsTheConnection() throws {
            let listener = try VerbsListener(
                bindAddress: RDMAHere.server, leaseID: someLease, secret: someSecret, geometry: smallGeometry,
                workers: 1)
            nonisolated(unsafe) var accepted: Handover<VerbsEndpoint>?
            let thread = PeerThread {
                accepted = try? Handover(listener.acceptNext(timeout: RDMAHere.patience).takeEndpoint())
            }
            var client = try RDMAHere.connector(to: listener.address)
                .connect(worker: 0, timeout: RDMAHere.patience, firstSequence: 5)
            thread.join()
            var executor = try #require(accepted).take()
            try client.send(sequence: 5, byteCount: 64)
            #expect(throws: TransportError.protocolViolation) { _ = try receive(&executor, .sleeping) }
            executor.close()
            #expect(throws: TransportError.peerLost) { _ = try receive(&client, .sleeping) }
        }

        @Test func aClientThatNeverReadsStallsItselfAlone() throws {
            let serving = try VerbsServing(workers: 2)
            defer { serving.end() }
            var stalled = Caller(
                try RDMAHere.connector(to: serving.listener.address).connect(worker: 0, timeout: RDMAHere.patience))
            for _ in 0..<smallGeometry.slotCount { try stalled.send(100) }
            #expect(throws: TransportError.ringFull) {
                try stalled.endpoint.send(sequence: UInt32(smallGeometry.slotCount), byteCount: 64)
            }
            try serving.exchange(worker: 1)
            // Everything is there when it comes back to its senses.
            for _ in 0..<smallGeometry.slotCount { try stalled.receive(100) }
            try stalled.send(5)
            try stalled.receive(5, .sleeping)
        }

        @Test(arguments: [WaitMode.polling, .sleeping])
        func aPeerThatIsStoppedForLongIsNotLost(_ mode: WaitMode) throws {
            struct Check: ClientCheck {
                let mode: WaitMode
                func run<E: Endpoint & ~Copyable>(client: consuming E, peer: PeerProcess) throws {
                    var caller = Caller(client)
                    peer.signal(SIGSTOP)
                    try caller.send(10)
                    // Longer than silence is borne: its device answers for it.
                    #expect(throws: TransportError.timedOut) { try caller.receive(10, mode, timeout: .seconds(4)) }
                    peer.signal(SIGCONT)
                    try caller.receive(10, mode)
                    caller.endpoint.close()
                    #expect(peer.reap() == 0)
                }
            }
            try Transport.verbs.process(Check(mode: mode), mode: mode.rawValue)
        }

        /// FALLOW_TEST_RDMA_CUT and FALLOW_TEST_RDMA_MEND are commands that make the wire swallow everything, and not.
        @Test(
            .enabled(if: getenv("FALLOW_TEST_RDMA_CUT") != nil, "no command is known that cuts the wire"),
            arguments: [WaitMode.polling, .sleeping], [true, false])
        func aPeerBehindACutWireIsLostWithin2Seconds(_ mode: WaitMode, isIdle: Bool) throws {
            struct Check: ClientCheck {
                let mode: WaitMode
                let isIdle: Bool
                func run<E: Endpoint & ~Copyable>(client: consuming E, peer: PeerProcess) throws {
                    var caller = Caller(client)
                    try caller.send(10)
                    try caller.receive(10, mode)
                    // Known to be alive a moment ago.
                    #expect(throws: TransportError.timedOut) { try caller.receive(1, mode, timeout: .seconds(1)) }
                    command("FALLOW_TEST_RDMA_CUT")
                    defer { command("FALLOW_TEST_RDMA_MEND") }
                    if !isIdle { try caller.send(10) }
                    let took = ContinuousClock().measure {
                        #expect(throws: TransportError.peerLost) { try caller.receive(10, mode, timeout: .seconds(8)) }
                    }
                    #expect(took < .seconds(2), "it took \(took)")
                }
                private func command(_ name: String) {
                    let text = String(cString: getenv(name))
                    var argv: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(text), nil]
                    defer { for word in argv { free(word) } }
                    var child: pid_t = 0
                    #expect(posix_spawn(&child, "/bin/sh", nil, nil, &argv, environ) == 0)
                    var status: CInt = 0
                    waitpid(child, &status, 0)
                    #expect(status == 0, "\(text)")
                }
            }
            try Transport.verbs.process(Check(mode: mode, isIdle: isIdle), mode: mode.rawValue)
        }
    }
}
