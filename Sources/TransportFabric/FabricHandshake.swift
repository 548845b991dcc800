internal import Crypto
package import FallowModel
package import FallowTransport

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
    static let nonceBytes = 16
    static let proofBytes = 32

    var leaseID: LeaseID
    var secret: SymmetricKey
    /// The listener's "host:port", as the client was told.
    var address: String
    var geometry: ArenaGeometry

    package init(leaseID: LeaseID, secret: [UInt8], address: String, geometry: ArenaGeometry) {
        self.leaseID = leaseID
        self.secret = SymmetricKey(data: secret)
        self.address = address
        self.geometry = geometry
    }

    private func proof(of purpose: String, _ parts: [UInt8]...) -> [UInt8] {
        var code = HMAC<SHA256>(key: secret)
        code.update(data: Array(purpose.utf8))
        for part in parts { code.update(data: part) }
        code.update(data: Array(address.utf8))
        return Array(code.finalize())
    }

    /// Compares in constant time.
    private func holds(_ given: ArraySlice<UInt8>, _ expected: [UInt8]) -> Bool {
        guard given.count == expected.count else { return false }
        return zip(given, expected).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    // MARK: What a client sends with its connect: 112 bytes

    private static let requestBytes = 80

    package func request(worker: Int, nonce: [UInt8], window: FabricWindow) -> [UInt8] {
        precondition(nonce.count == Self.nonceBytes)
        var bytes = Bytes()
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(leaseID.number)
        bytes.append(UInt64(worker))
        bytes.content += nonce
        bytes.append(UInt64(geometry.slotCount))
        bytes.append(UInt64(geometry.inputBytes))
        bytes.append(UInt64(geometry.outputBytes))
        bytes.append(window.address)
        bytes.append(window.key)
        return bytes.content + proof(of: "fallow connect 1", bytes.content)
    }

    /// What was wrong with a connect; counted by the listener, told to nobody but its owner.
    enum Complaint: Error, Hashable, Sendable {
        case malformed, version, lease, geometry, worker, proof, replayed, taken, resources
    }

    /// A connect whose proof holds.
    struct Request {
        var worker: Int
        var nonce: [UInt8]
        var window: FabricWindow
    }

    func check(request bytes: [UInt8], workers: Int) throws(Complaint) -> Request {
        guard bytes.count >= Self.requestBytes + Self.proofBytes else { throw .malformed }
        var reader = Bytes(content: bytes)
        guard reader.next(UInt32.self) == Self.magic else { throw .malformed }
        guard reader.next(UInt32.self) == Self.version else { throw .version }
        // Nothing else is looked at before the proof. The provider may pad what it carries.
        let signed = Array(bytes[..<Self.requestBytes])
        let given = bytes[Self.requestBytes..<Self.requestBytes + Self.proofBytes]
        guard holds(given, proof(of: "fallow connect 1", signed)) else { throw .proof }
        guard reader.next(UInt64.self) == leaseID.number else { throw .lease }
        let worker = reader.next(UInt64.self)
        guard worker < UInt64(workers) else { throw .worker }
        let nonce = reader.take(Self.nonceBytes)
        guard reader.next(UInt64.self) == UInt64(geometry.slotCount),
            reader.next(UInt64.self) == UInt64(geometry.inputBytes),
            reader.next(UInt64.self) == UInt64(geometry.outputBytes)
        else { throw .geometry }
        let window = FabricWindow(address: reader.next(UInt64.self), key: reader.next(UInt64.self))
        return Request(worker: Int(worker), nonce: nonce, window: window)
    }

    // MARK: What a listener answers with its accept: 56 bytes

    private static let acceptBytes = 24

    package func accept(nonce: [UInt8], window: FabricWindow) -> [UInt8] {
        var bytes = Bytes()
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(window.address)
        bytes.append(window.key)
        return bytes.content + proof(of: "fallow accept 1", nonce, bytes.content)
    }

    /// - Returns: nil when the answer does not come from who holds the secret.
    package func check(accept bytes: [UInt8], nonce: [UInt8]) -> FabricWindow? {
        guard bytes.count >= Self.acceptBytes + Self.proofBytes else { return nil }
        let signed = Array(bytes[..<Self.acceptBytes])
        let given = bytes[Self.acceptBytes..<Self.acceptBytes + Self.proofBytes]
        guard holds(given, proof(of: "fallow accept 1", nonce, signed)) else { return nil }
        var reader = Bytes(content: signed)
        guard reader.next(UInt32.self) == Self.magic, reader.next(UInt32.self) == Self.version else { return nil }
        return FabricWindow(address: reader.next(UInt64.self), key: reader.next(UInt64.self))
    }

    /// What travels with a refusal, so that a client can tell it from a port where nobody listens.
    static var refusal: [UInt8] {
        var bytes = Bytes()
        bytes.append(magic)
        bytes.append(version)
        return bytes.content
    }
}

/// Little-endian numbers, one after the other. Reading past the end is a bug: lengths are checked before.
private struct Bytes {
    var content: [UInt8] = []
    private var position = 0

    init(content: [UInt8] = []) { self.content = content }

    mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { content += $0 }
    }
    mutating func take(_ count: Int) -> [UInt8] {
        defer { position += count }
        return Array(content[position..<position + count])
    }
    mutating func next<Number: FixedWidthInteger>(_: Number.Type) -> Number {
        take(MemoryLayout<Number>.size).reversed().reduce(0) { $0 << 8 | Number($1) }
    }
}
