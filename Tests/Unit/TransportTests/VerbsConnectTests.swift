import FallowModel
import FallowTransport
import Glibc
import Testing
import TransportHandshake
import TransportTesting

import TransportVerbs

extension TransportTests {
    /// Who is let in over RDMA, and that nobody else does harm.
    @Suite(.enabled(if: RDMAHere.isThere, "no RDMA device on this machine: `make test-rdma` runs these in a guest"))
    struct VerbsConnectTests {
        private func soon(_ seconds: Int64 = 5) -> MonotonicDeadline {
            MonotonicDeadline(in: seconds * 1_000_000_000)
        }

        @Test func onlyTheRightProofOpensTheDoor() throws {
            let serving = try VerbsServing()
            defer { serving.end() }
            #expect(throws: TransportError.refused) { try serving.exchange(secret: Array(repeating: 8, count: 32)) }
            #expect(throws: TransportError.refused) { try serving.exchange(lease: LeaseID(2)) }
            #expect(throws: TransportError.refused) { try serving.exchange(worker: 1) }
            #expect(serving.listener.refusals == ["proof": 2, "worker": 1])
            try serving.exchange()
            #expect(throws: TransportError.refused, "the worker has its client") { try serving.exchange() }
            #expect(serving.listener.refusals["taken"] == 1)
        }

        @Test func aBatchIsOneDoorbell() throws {
            let serving = try VerbsServing()
            defer { serving.end() }
            var caller = Caller(
                try RDMAHere.connector(to: serving.listener.address).connect(worker: 0, timeout: RDMAHere.patience))
            // Three times around the ring; inline and not, with completions asked for within a chain and at its end.
            for round in 0..<3 * smallGeometry.slotCount {
                let before = caller.endpoint.doorbellCount
                let count = 1 + round % smallGeometry.slotCount
                for place in 0..<count { try caller.post(place % 2 == 0 ? 8 : 2000) }
                #expect(caller.endpoint.doorbellCount == before)
                try caller.endpoint.flush()
                #expect(caller.endpoint.doorbellCount == before + 1)
                for place in 0..<count { try caller.receive(place % 2 == 0 ? 8 : 2000) }
            }
            try caller.endpoint.flush()
            caller.endpoint.close()
        }

        @Test func anotherGeometryIsRefused() throws {
            let serving = try VerbsServing()
            defer { serving.end() }
            let other = ArenaGeometry(slotCount: 16, inputBytes: 8192, outputBytes: 8192)
            #expect(throws: TransportError.refused) {
                _ = try RDMAHere.connector(to: serving.listener.address, geometry: other)
                    .connect(worker: 0, timeout: RDMAHere.patience).slotCount
            }
            try serving.exchange()
        }

        @Test func replaysVersionsAndGarbageAreRefused() throws {
            let serving = try VerbsServing(workers: 2)
            defer { serving.end() }
            let address = serving.listener.address
            let introduction = VerbsIntroduction(
                leaseID: someLease, secret: someSecret, address: address, geometry: smallGeometry)
            let connector = RDMAHere.connector(to: address)
            func attempt(_ alter: ([UInt8]) -> [UInt8]) throws {
                do throws(VerbsCallFailure) {
                    let call = try connector.open(until: soon())
                    let request = introduction.request(
                        worker: 0, nonce: Array(repeating: 1, count: 16), window: call.link.window)
                    try call.send(alter(request))
                    _ = try call.accepted(until: soon())
                } catch { throw error.error }
            }
            for index in [0, 4, 6, 8, 16, 20, 35, 36, 55] {
                #expect(throws: TransportError.refused, "byte \(index)") {
                    try attempt { request in
                        var altered = request
                        altered[index] ^= 1
                        return altered
                    }
                }
            }
            #expect(serving.listener.refusals == ["malformed": 1, "version": 1, "proof": 7])
            // The connection manager fills up with zeros what is short.
            for length in [0, 1, 36, 55] {
                #expect(throws: TransportError.refused, "\(length) bytes") { try attempt { Array($0.prefix(length)) } }
            }
            for _ in 0..<10 {
                #expect(throws: TransportError.refused) {
                    try attempt { _ in (0..<56).map { _ in UInt8.random(in: .min ... .max) } }
                }
            }
            // Recorded, let through once, and sent again, even for a worker that is free.
            var recorded: [UInt8] = []
            try attempt { request in
                recorded = request
                return request
            }
            #expect(throws: TransportError.refused) { try attempt { _ in recorded } }
            #expect(serving.listener.refusals["replayed"] == 1)
            try serving.exchange(worker: 1)
        }

        @Test(arguments: ["resolved", "requested", "accepted"])
        func aClientThatDiesWhileConnectingCostsNoWorker(_ state: String) throws {
            let serving = try VerbsServing(freeing: true)
            defer { serving.end() }
            for _ in 0..<3 {
                let peer = try PeerProcess(
                    [
                        "verbs-dying", "\(smallGeometry.slotCount)", "\(smallGeometry.inputBytes)",
                        "\(smallGeometry.outputBytes)", state, "7", serving.listener.address,
                    ] + (RDMAHere.source.map { [$0] } ?? []))
                #expect(peer.greeting == state)
                #expect(peer.reap() == -SIGKILL)
                // Its end may take a moment to be seen; until then the worker is taken.
                let clock = ContinuousClock()
                let deadline = clock.now + RDMAHere.patience
                while true {
                    do {
                        try serving.exchange()
                        break
                    } catch TransportError.refused {
                        try #require(clock.now < deadline, "the worker is still taken")
                        usleep(20_000)
                    }
                }
            }
        }

        @Test func nobodyThereIsSaidAtOnce() throws {
            // A port that was free a moment ago.
            let listener = try VerbsListener(
                bindAddress: RDMAHere.server, leaseID: someLease, secret: someSecret, geometry: smallGeometry,
                workers: 1)
            let address = listener.address
            listener.close()
            let start = ContinuousClock().now
            #expect(throws: TransportError.system(code: ECONNREFUSED)) {
                _ = try RDMAHere.connector(to: address).connect(worker: 0, timeout: .seconds(10)).slotCount
            }
            #expect(ContinuousClock().now - start < .seconds(5))
            #expect(throws: TransportError.peerLost) { _ = try listener.acceptNext(timeout: RDMAHere.patience).worker }
        }

        @Test func anUnansweredConnectTimesOutAndCostsNoWorker() throws {
            // It listens, but nobody accepts.
            let listener = try VerbsListener(
                bindAddress: RDMAHere.server, leaseID: someLease, secret: someSecret, geometry: smallGeometry,
                workers: 1)
            let start = ContinuousClock().now
            #expect(throws: TransportError.timedOut) {
                _ = try RDMAHere.connector(to: listener.address).connect(worker: 0, timeout: .milliseconds(800))
                    .slotCount
            }
            #expect(ContinuousClock().now - start < .seconds(3))
            #expect(throws: TransportError.timedOut) { _ = try listener.acceptNext(timeout: .milliseconds(100)).worker }
        }

        @Test func aListenerThatDiesWhileAConnectWaitsIsHeardOf() throws {
            let peer = try PeerProcess([
                "verbs-deaf", "\(smallGeometry.slotCount)", "\(smallGeometry.inputBytes)",
                "\(smallGeometry.outputBytes)", "-", "7", RDMAHere.server,
            ])
            let killer = PeerThread { [id = peer.id] in
                usleep(300_000)
                kill(id, SIGKILL)
            }
            defer { killer.join() }
            let took = ContinuousClock().measure {
                #expect(throws: TransportError.system(code: ECONNREFUSED)) {
                    _ = try RDMAHere.connector(to: peer.greeting).connect(worker: 0, timeout: .seconds(10)).slotCount
                }
            }
            #expect(took > .milliseconds(290) && took < .seconds(4), "it took \(took)")
        }

        @Test(arguments: ["", "127.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", ":1", "not a host:99"])
        func addressesThatMakeNoSenseAreErrors(_ address: String) {
            #expect(throws: TransportError.self) {
                _ = try RDMAHere.connector(to: address).connect(worker: 0, timeout: .seconds(1)).slotCount
            }
        }

        @Test func listenersSayWhatIsWrong() {
            func complaint(_ bind: String, _ secret: [UInt8], _ workers: Int) -> String {
                do {
                    _ = try VerbsListener(
                        bindAddress: bind, leaseID: someLease, secret: secret, geometry: smallGeometry, workers: workers
                    )
                    return "nothing thrown"
                } catch {
                    return "\(error)"
                }
            }
            #expect(complaint(RDMAHere.server, [1], 1).hasPrefix("a lease's secret has 32 bytes, not 1"))
            #expect(complaint(RDMAHere.server, someSecret, 0).hasPrefix("a listener serves 1 to 1024 workers"))
            #expect(complaint("198.51.100.1", someSecret, 1).contains("198.51.100.1"))
            #expect(complaint("nowhere", someSecret, 1).contains("no numeric address"))
        }

        @Test func devicesAreFoundByTheirAddress() throws {
            let device = try VerbsDevice.carrying(RDMAHere.server)
            #expect(device.isActive && device.port == 1)
            #expect(try VerbsDevice.names().contains(device.name))
            #expect(throws: VerbsError.self) { _ = try VerbsDevice.carrying("198.51.100.1") }
        }
    }
}
