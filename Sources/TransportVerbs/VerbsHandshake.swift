package import FallowModel
package import FallowTransport
package import TransportHandshake

/// Where a peer may write, or of a donor read too: address and key in the owner's terms. The length is known to both.
package struct VerbsWindow: Equatable, Sendable {
    /// Of an end where the peer has nothing to do. A write of no bytes needs no window.
    static let nowhere = VerbsWindow(address: 0, key: 0)

    package var address: UInt64
    package var key: UInt32

    package init(address: UInt64, key: UInt32) {
        self.address = address
        self.key = key
    }
}

/// What the two ends say to each other in rdma_cm's private data.
///
/// A connect request leaves 56 bytes. So what both ends know already, the lease and the geometry or the amount of memory, does
/// not travel: it is in the proof, of which the first 20 bytes do.
package struct VerbsIntroduction {
    static let magic: UInt32 = 0x7677_6c66  // "flwv"
    static let version: UInt16 = 1
    package static let requestProofBytes = 20
    package static let requestBytes = 36
    package static let acceptBytes = 20

    let key: ProofKey
    /// The listener's "host:port", as the client was told.
    let address: String
    /// What both ends know of the lease.
    private let known: [UInt8]

    package init(leaseID: LeaseID, secret: [UInt8], address: String, geometry: ArenaGeometry) {
        key = ProofKey(secret: secret)
        self.address = address
        var known = HandshakeBytes()
        known.append(leaseID.number)
        known.append(UInt64(geometry.slotCount))
        known.append(UInt64(geometry.inputBytes))
        known.append(UInt64(geometry.outputBytes))
        self.known = known.content
    }

    /// Between a donor and its borrower, who know how much is lent.
    package init(leaseID: LeaseID, secret: [UInt8], address: String, capacityBytes: Int) {
        key = ProofKey(secret: secret)
        self.address = address
        var known = HandshakeBytes()
        known.append(leaseID.number)
        known.append(UInt64(capacityBytes))
        self.known = known.content
    }

    // MARK: What a client sends with its connect: 56 bytes

    package func request(worker: Int, nonce: [UInt8], window: VerbsWindow) -> [UInt8] {
        precondition(nonce.count == ProofKey.nonceBytes)
        var bytes = HandshakeBytes()
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(UInt16(worker))
        bytes.append(window.address)
        bytes.append(window.key)
        bytes.append(nonce)
        return bytes.content + requestProof(bytes.content).prefix(Self.requestProofBytes)
    }

    private func requestProof(_ signed: [UInt8]) -> [UInt8] {
        key.proof(of: "fallow verbs connect 1", signed, known, address: address)
    }

    /// A connect whose proof holds.
    package struct Request {
        package var worker: Int
        package var nonce: [UInt8]
        package var window: VerbsWindow
    }

    package func check(request bytes: [UInt8], workers: Int) throws(HandshakeComplaint) -> Request {
        // The connection manager pads to what it has room for.
        guard bytes.count >= Self.requestBytes + Self.requestProofBytes else { throw .malformed }
        var reader = HandshakeBytes(content: bytes)
        guard reader.next(UInt32.self) == Self.magic else { throw .malformed }
        guard reader.next(UInt16.self) == Self.version else { throw .version }
        // Nothing else is looked at before the proof.
        let signed = Array(bytes[..<Self.requestBytes])
        let given = bytes[Self.requestBytes..<Self.requestBytes + Self.requestProofBytes]
        guard ProofKey.holds(given, requestProof(signed), bytes: Self.requestProofBytes) else { throw .proof }
        let worker = Int(reader.next(UInt16.self))
        guard worker < workers else { throw .worker }
        let window = VerbsWindow(address: reader.next(UInt64.self), key: reader.next(UInt32.self))
        return Request(worker: worker, nonce: reader.take(ProofKey.nonceBytes), window: window)
    }

    // MARK: What a listener answers with its accept: 52 bytes

    package func accept(nonce: [UInt8], window: VerbsWindow) -> [UInt8] {
        var bytes = HandshakeBytes()
        bytes.append(Self.magic)
        bytes.append(UInt32(Self.version))
        bytes.append(window.address)
        bytes.append(window.key)
        return bytes.content + acceptProof(nonce, bytes.content)
    }

    private func acceptProof(_ nonce: [UInt8], _ signed: [UInt8]) -> [UInt8] {
        key.proof(of: "fallow verbs accept 1", nonce, signed, known, address: address)
    }

    /// - Returns: nil when the answer does not come from who holds the secret.
    package func check(accept bytes: [UInt8], nonce: [UInt8]) -> VerbsWindow? {
        guard bytes.count >= Self.acceptBytes + ProofKey.proofBytes else { return nil }
        let signed = Array(bytes[..<Self.acceptBytes])
        let given = bytes[Self.acceptBytes..<Self.acceptBytes + ProofKey.proofBytes]
        guard ProofKey.holds(given, acceptProof(nonce, signed)) else { return nil }
        var reader = HandshakeBytes(content: signed)
        guard reader.next(UInt32.self) == Self.magic, reader.next(UInt32.self) == UInt32(Self.version) else {
            return nil
        }
        return VerbsWindow(address: reader.next(UInt64.self), key: reader.next(UInt32.self))
    }

    /// What travels with a refusal, so that a client can tell it from a port where nobody listens.
    package static var refusal: [UInt8] {
        var bytes = HandshakeBytes()
        bytes.append(magic)
        bytes.append(UInt32(version))
        return bytes.content
    }
}
