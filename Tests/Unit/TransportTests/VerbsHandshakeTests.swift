import FallowTransport
import Testing

import TransportVerbs

/// What the two ends say to each other over rdma_cm. Needs no device.
@Suite struct VerbsHandshakeTests {
    private let introduction = VerbsIntroduction(
        leaseID: someLease, secret: someSecret, address: "192.0.2.1:1", geometry: smallGeometry)
    private let nonce = [UInt8](repeating: 3, count: 16)
    private let window = VerbsWindow(address: 1 << 47 | 4096, key: 0x8000_0005)

    @Test func everythingFitsIntoThePrivateData() {
        #expect(introduction.request(worker: 1023, nonce: nonce, window: window).count == 56)
        #expect(introduction.accept(nonce: nonce, window: window).count <= 196)
        #expect(VerbsIntroduction.refusal.count <= 148)
    }

    @Test func requestsComeBackAsTheyWent() throws {
        let bytes = introduction.request(worker: 1023, nonce: nonce, window: window)
        let request = try introduction.check(request: bytes + [0, 0, 0], workers: 1024)
        #expect(request.worker == 1023 && request.nonce == nonce && request.window == window)
        for index in bytes.indices {
            var altered = bytes
            altered[index] ^= 0x10
            #expect(throws: (any Error).self, "byte \(index)") {
                _ = try introduction.check(request: altered, workers: 1024)
            }
        }
    }

    @Test func anotherLeaseGeometryOrListenerIsNoProof() {
        let bytes = introduction.request(worker: 0, nonce: nonce, window: window)
        var other = smallGeometry
        other.slotCount *= 2
        let others = [
            VerbsIntroduction(
                leaseID: .init(2), secret: someSecret, address: "192.0.2.1:1", geometry: smallGeometry),
            VerbsIntroduction(leaseID: someLease, secret: someSecret, address: "192.0.2.1:1", geometry: other),
            VerbsIntroduction(
                leaseID: someLease, secret: someSecret, address: "192.0.2.1:2", geometry: smallGeometry),
            VerbsIntroduction(
                leaseID: someLease, secret: Array(repeating: 8, count: 32), address: "192.0.2.1:1",
                geometry: smallGeometry),
        ]
        for other in others {
            #expect(throws: (any Error).self) { _ = try other.check(request: bytes, workers: 1) }
        }
    }

    @Test func aListenerWithoutTheSecretIsNotBelieved() {
        let impostor = VerbsIntroduction(
            leaseID: someLease, secret: Array(repeating: 8, count: 32), address: "192.0.2.1:1",
            geometry: smallGeometry)
        #expect(introduction.check(accept: introduction.accept(nonce: nonce, window: window), nonce: nonce) == window)
        #expect(introduction.check(accept: impostor.accept(nonce: nonce, window: window), nonce: nonce) == nil)
        let other = [UInt8](repeating: 4, count: 16)
        #expect(introduction.check(accept: introduction.accept(nonce: other, window: window), nonce: nonce) == nil)
        #expect(introduction.check(accept: [], nonce: nonce) == nil)
    }
}
