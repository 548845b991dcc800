import FallowModel
import FallowTransport
import Glibc
import Testing
import TransportFabric
import TransportHandshake
import TransportTesting

extension TransportTests {
    /// Who is let in over the network, and that nobody else does harm.
    @Suite struct FabricConnectTests {
        /// A listener whose accepting runs in a thread until the object goes; it serves whom it accepts.
        final class Serving: Sendable {
            let listener: FabricListener
            private let thread: PeerThread

            init(workers: Int = 1, geometry: ArenaGeometry = smallGeometry) throws {
                let listener = try FabricListener(
                    bindAddress: "127.0.0.1", leaseID: someLease, secret: someSecret, geometry: geometry,
                    workers: workers)
                self.listener = listener
                thread = PeerThread {
                    var servers: [PeerThread] = []
                    while true {
                        do throws(TransportError) {
                            let handover = Handover(try listener.acceptNext(timeout: .milliseconds(100)))
                            servers.append(
                                PeerThread {
                                    var endpoint = handover.take().takeEndpoint()
                                    try? serveEcho(&endpoint, .sleeping, timeout: .seconds(2))
                                })
                        } catch {
                            if error == .peerLost { break }
                        }
                    }
                    for server in servers { server.join() }
                }
            }
            func end() {
                listener.close()
                thread.join()
            }

            /// One whole exchange as a client should be able to have it.
            func exchange(worker: Int = 0, secret: [UInt8] = someSecret, lease: LeaseID = someLease) throws {
                var caller = Caller(
                    try FabricEndpoint.connect(
                        address: listener.address, leaseID: lease, worker: worker, secret: secret,
                        geometry: smallGeometry, timeout: .seconds(2)))
                try caller.send(77)
                try caller.receive(77)
                caller.endpoint.close()
            }

            /// A plain TCP connection to the listener.
            func socket() throws -> CInt {
                let (_, port) = try #require(NumericAddress.split(listener.address))
                let descriptor = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
                var name = sockaddr_in()
                name.sin_family = sa_family_t(AF_INET)
                name.sin_port = try #require(UInt16(port)).bigEndian
                name.sin_addr.s_addr = inet_addr("127.0.0.1")
                let result = withUnsafePointer(to: &name) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                    }
                }
                try #require(result == 0)
                return descriptor
            }
        }

        @Test func onlyTheRightProofOpensTheDoor() throws {
            let serving = try Serving()
            defer { serving.end() }
            #expect(throws: TransportError.refused) { try serving.exchange(secret: Array(repeating: 8, count: 32)) }
            #expect(throws: TransportError.refused) { try serving.exchange(lease: LeaseID(2)) }
            #expect(throws: TransportError.refused) { try serving.exchange(worker: 1) }
            #expect(serving.listener.refusals == ["proof": 1, "lease": 1, "worker": 1])
            try serving.exchange()
            #expect(throws: TransportError.refused, "the worker has its client") { try serving.exchange() }
            #expect(serving.listener.refusals["taken"] == 1)
        }

        @Test func anotherGeometryIsRefused() throws {
            let serving = try Serving()
            defer { serving.end() }
            #expect(throws: TransportError.refused) {
                _ = try FabricEndpoint.connect(
                    address: serving.listener.address, leaseID: someLease, worker: 0, secret: someSecret,
                    geometry: ArenaGeometry(slotCount: 16, inputBytes: 8192, outputBytes: 8192), timeout: .seconds(2)
                ).slotCount
            }
            #expect(serving.listener.refusals == ["geometry": 1])
            try serving.exchange()
        }

        @Test func replaysVersionsAndGarbageAreRefused() throws {
            let serving = try Serving(workers: 2)
            defer { serving.end() }
            let address = serving.listener.address
            let introduction = FabricIntroduction(
                leaseID: someLease, secret: someSecret, address: address, geometry: smallGeometry)
            func attempt(_ alter: ([UInt8]) -> [UInt8]) throws {
                let call = try FabricCall(address: address, geometry: smallGeometry)
                let request = introduction.request(
                    worker: 0, nonce: Array(repeating: 1, count: 16), window: call.link.window)
                _ = try call.connect(alter(request), until: MonotonicDeadline(in: 2_000_000_000))
            }
            // Every byte of the request counts.
            for index in [0, 4, 8, 16, 24, 40, 48, 56, 64, 72, 79, 80, 111] {
                #expect(throws: TransportError.refused, "byte \(index)") {
                    try attempt { request in
                        var altered = request
                        altered[index] ^= 1
                        return altered
                    }
                }
            }
            #expect(serving.listener.refusals == ["malformed": 1, "version": 1, "proof": 11])
            for length in [0, 1, 79, 80, 111] {
                #expect(throws: TransportError.refused, "\(length) bytes") { try attempt { Array($0.prefix(length)) } }
            }
            for _ in 0..<20 {
                #expect(throws: TransportError.refused) {
                    try attempt { _ in (0..<256).map { _ in UInt8.random(in: .min ... .max) } }
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

        @Test func aProofForAnotherListenerIsNoProof() throws {
            let (here, there) = (try Serving(), try Serving())
            defer {
                here.end()
                there.end()
            }
            let call = try FabricCall(address: there.listener.address, geometry: smallGeometry)
            let request = FabricIntroduction(
                leaseID: someLease, secret: someSecret, address: here.listener.address, geometry: smallGeometry
            ).request(worker: 0, nonce: Array(repeating: 2, count: 16), window: call.link.window)
            #expect(throws: TransportError.refused) {
                _ = try call.connect(request, until: MonotonicDeadline(in: 2_000_000_000))
            }
        }

        @Test func aListenerWithoutTheSecretIsNotBelieved() {
            let introduction = FabricIntroduction(
                leaseID: someLease, secret: someSecret, address: "127.0.0.1:1", geometry: smallGeometry)
            let impostor = FabricIntroduction(
                leaseID: someLease, secret: Array(repeating: 8, count: 32), address: "127.0.0.1:1",
                geometry: smallGeometry)
            let nonce = [UInt8](repeating: 3, count: 16)
            let window = FabricWindow(address: 4096, key: 5)
            #expect(
                introduction.check(accept: introduction.accept(nonce: nonce, window: window), nonce: nonce) == window)
            #expect(introduction.check(accept: impostor.accept(nonce: nonce, window: window), nonce: nonce) == nil)
            let other = [UInt8](repeating: 4, count: 16)
            #expect(introduction.check(accept: introduction.accept(nonce: other, window: window), nonce: nonce) == nil)
            #expect(introduction.check(accept: [], nonce: nonce) == nil)
        }

        @Test func strangersThatNeverFinishDoNotBlockOthers() throws {
            let serving = try Serving(workers: 3)
            defer { serving.end() }
            // Connections that say nothing, that say half of something, and that say nonsense and hang up.
            let silent = try (0..<20).map { _ in try serving.socket() }
            try serving.exchange(worker: 0)
            let talking = try (0..<20).map { _ in try serving.socket() }
            for descriptor in talking {
                let bytes = (0..<Int.random(in: 1..<2000)).map { _ in UInt8.random(in: .min ... .max) }
                send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL))
            }
            try serving.exchange(worker: 1)
            for descriptor in silent + talking { close(descriptor) }
            try serving.exchange(worker: 2)
        }

        @Test func nobodyThereIsSaidAtOnce() throws {
            // A port that was free a moment ago.
            let listener = try FabricListener(
                bindAddress: "127.0.0.1", leaseID: someLease, secret: someSecret, geometry: smallGeometry, workers: 1)
            let address = listener.address
            listener.close()
            let start = ContinuousClock().now
            #expect(throws: TransportError.system(code: ECONNREFUSED)) {
                _ = try FabricEndpoint.connect(
                    address: address, leaseID: someLease, worker: 0, secret: someSecret, geometry: smallGeometry,
                    timeout: .seconds(2)
                ).slotCount
            }
            #expect(ContinuousClock().now - start < .milliseconds(500))
            #expect(throws: TransportError.peerLost) { _ = try listener.acceptNext(timeout: .seconds(5)).worker }
        }

        @Test func anUnansweredConnectTimesOutAndCostsNoWorker() throws {
            // It listens, but nobody accepts.
            let listener = try FabricListener(
                bindAddress: "127.0.0.1", leaseID: someLease, secret: someSecret, geometry: smallGeometry, workers: 1)
            let start = ContinuousClock().now
            #expect(throws: TransportError.timedOut) {
                _ = try FabricEndpoint.connect(
                    address: listener.address, leaseID: someLease, worker: 0, secret: someSecret,
                    geometry: smallGeometry,
                    timeout: .milliseconds(300)
                ).slotCount
            }
            #expect(ContinuousClock().now - start < .milliseconds(600))
            #expect(throws: TransportError.timedOut) { _ = try listener.acceptNext(timeout: .milliseconds(100)).worker }
        }

        @Test(arguments: ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", ":1", "not a host:99"])
        func addressesThatMakeNoSenseAreErrors(_ address: String) {
            #expect(throws: TransportError.self) {
                _ = try FabricEndpoint.connect(
                    address: address, leaseID: someLease, worker: 0, secret: someSecret, geometry: smallGeometry,
                    timeout: .seconds(1)
                ).slotCount
            }
        }

        @Test func listenersSayWhatIsWrong() {
            func complaint(_ bind: String, _ secret: [UInt8], _ workers: Int) -> String {
                do {
                    _ = try FabricListener(
                        bindAddress: bind, leaseID: someLease, secret: secret, geometry: smallGeometry, workers: workers
                    )
                    return "nothing thrown"
                } catch {
                    return "\(error)"
                }
            }
            #expect(complaint("127.0.0.1", [1], 1).hasPrefix("a lease's secret has 32 bytes, not 1"))
            #expect(complaint("127.0.0.1", someSecret, 0).hasPrefix("a listener needs at least one worker"))
            #expect(complaint("198.51.100.1", someSecret, 1).contains("198.51.100.1"))
        }
    }
}
