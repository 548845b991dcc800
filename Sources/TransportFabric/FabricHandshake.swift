package import FallowModel
package import FallowTransport
internal import TransportHandshake

/// Where a peer may write: its address and key in the peer's terms. The length follows from the geometry.
package struct FabricWindow: Equatable {
    var address: UInt64
    var key: UInt64

    package init(address: UInt64, key: UInt64) {
        self.address = address
        self.key = key
    }
}

/// Both ends' names for the connection under way, and the secret that only they and their agents know.
package struct FabricIntroduction {
    static let magic: UInt32 = 0x6c77_6c66  // "flwl"
    static let version: UInt32 = 1
    static let nonceBytes = ProofKey.nonceBytes
    static let proofBytes = ProofKey.proofBytes

    var leaseID: LeaseID
    var key: ProofKey
    /// The listener's "host:port", as the client was told.
    var address: String
    /// The geometry, about which both ends have to agree.
    private var shape: [UInt64]

    package init(leaseID: LeaseID, secret: [UInt8], address: String, geometry: ArenaGeometry) {
        self.leaseID = leaseID
        key = ProofKey(secret: secret)
        self.address = address
        shape = [UInt64(geometry.slotCount), UInt64(geometry.inputBytes), UInt64(geometry.outputBytes)]
    }

    private static let connecting = "fallow connect 1"
    private static let accepting = "fallow accept 1"

    // MARK: What a client sends with its connect: 112 bytes

    private static let requestBytes = 80

    package func request(worker: Int, nonce: [UInt8], window: FabricWindow) -> [UInt8] {
        precondition(nonce.count == Self.nonceBytes)
        var bytes = HandshakeBytes()
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(leaseID.number)
        bytes.append(UInt64(worker))
        bytes.append(nonce)
        for number in shape { bytes.append(number) }
        bytes.append(window.address)
        bytes.append(window.key)
        return bytes.content + key.proof(of: Self.connecting, bytes.content, address: address)
    }

    /// A connect whose proof holds.
    struct Request {
        var worker: Int
        var nonce: [UInt8]
        var window: FabricWindow
    }

    func check(request bytes: [UInt8], workers: Int) throws(HandshakeComplaint) -> Request {
        guard bytes.count >= Self.requestBytes + Self.proofBytes else { throw .malformed }
        var reader = HandshakeBytes(content: bytes)
        guard reader.next(UInt32.self) == Self.magic else { throw .malformed }
        guard reader.next(UInt32.self) == Self.version else { throw .version }
        // Nothing else is looked at before the proof. The provider may pad what it carries.
        let signed = Array(bytes[..<Self.requestBytes])
        let given = bytes[Self.requestBytes..<Self.requestBytes + Self.proofBytes]
        guard ProofKey.holds(given, key.proof(of: Self.connecting, signed, address: address)) else { throw .proof }
        guard reader.next(UInt64.self) == leaseID.number else { throw .lease }
        let worker = reader.next(UInt64.self)
        guard worker < UInt64(workers) else { throw .worker }
        let nonce = reader.take(Self.nonceBytes)
        guard shape.map({ _ in reader.next(UInt64.self) }) == shape else { throw .geometry }
        let window = FabricWindow(address: reader.next(UInt64.self), key: reader.next(UInt64.self))
        return Request(worker: Int(worker), nonce: nonce, window: window)
    }

    // MARK: What a listener answers with its accept: 56 bytes

    private static let acceptBytes = 24

    package func accept(nonce: [UInt8], window: FabricWindow) -> [UInt8] {
        var bytes = HandshakeBytes()
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(window.address)
        bytes.append(window.key)
        return bytes.content + key.proof(of: Self.accepting, nonce, bytes.content, address: address)
    }

    /// - Returns: nil when the answer does not come from who holds the secret.
    package func check(accept bytes: [UInt8], nonce: [UInt8]) -> FabricWindow? {
        guard bytes.count >= Self.acceptBytes + Self.proofBytes else { return nil }
        let signed = Array(bytes[..<Self.acceptBytes])
        let given = bytes[Self.acceptBytes..<Self.acceptBytes + Self.proofBytes]
        guard ProofKey.holds(given, key.proof(of: Self.accepting, nonce, signed, address: address)) else {
            return nil
        }
        var reader = HandshakeBytes(content: signed)
        guard reader.next(UInt32.self) == Self.magic, reader.next(UInt32.self) == Self.version else { return nil }
        return FabricWindow(address: reader.next(UInt64.self), key: reader.next(UInt64.self))
    }

    /// What travels with a refusal, so that a client can tell it from a port where nobody listens.
    static var refusal: [UInt8] {
        var bytes = HandshakeBytes()
        bytes.append(magic)
        bytes.append(version)
        return bytes.content
    }
}
