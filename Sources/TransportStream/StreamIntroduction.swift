internal import FallowModel
internal import TransportHandshake

/// How the two ends of a connection prove to each other that they know the lease's secret, which never travels.
struct StreamIntroduction {
    private static let magic: UInt32 = 0x736c_6c66  // "flls"
    private static let version: UInt32 = 1
    private static let signedBytes = 40
    /// What a borrower sends first.
    static let requestBytes = signedBytes + ProofKey.proofBytes
    /// What a donor answers.
    static let answerBytes = 8 + ProofKey.proofBytes

    private let leaseID: LeaseID
    private let key: ProofKey
    /// The donor's "host:port", as the borrower was told.
    private let address: String
    private let capacityBytes: Int

    init(leaseID: LeaseID, secret: [UInt8], address: String, capacityBytes: Int) {
        self.leaseID = leaseID
        key = ProofKey(secret: secret)
        self.address = address
        self.capacityBytes = capacityBytes
    }

    func request(nonce: [UInt8]) -> [UInt8] {
        var bytes = HandshakeBytes()
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(leaseID.number)
        bytes.append(UInt64(capacityBytes))
        bytes.append(nonce)
        return bytes.content + key.proof(of: "fallow stream memory connect 1", bytes.content, address: address)
    }

    /// - Returns: the nonce of a request whose proof holds.
    func check(request bytes: [UInt8]) throws(HandshakeComplaint) -> [UInt8] {
        guard bytes.count == Self.requestBytes else { throw .malformed }
        var reader = HandshakeBytes(content: bytes)
        guard reader.next(UInt32.self) == Self.magic else { throw .malformed }
        guard reader.next(UInt32.self) == Self.version else { throw .version }
        // Nothing else is looked at before the proof.
        let signed = Array(bytes[..<Self.signedBytes])
        let proof = key.proof(of: "fallow stream memory connect 1", signed, address: address)
        guard ProofKey.holds(bytes[Self.signedBytes...], proof) else { throw .proof }
        guard reader.next(UInt64.self) == leaseID.number else { throw .lease }
        guard reader.next(UInt64.self) == UInt64(capacityBytes) else { throw .geometry }
        return reader.take(ProofKey.nonceBytes)
    }

    func accept(nonce: [UInt8]) -> [UInt8] {
        Self.head + key.proof(of: "fallow stream memory accept 1", nonce, Self.head, address: address)
    }

    /// What whoever is not let in is told.
    static let refusal = head + [UInt8](repeating: 0, count: ProofKey.proofBytes)

    /// Whether an answer comes from who holds the secret and lets this borrower in.
    func holds(answer bytes: [UInt8], nonce: [UInt8]) -> Bool {
        bytes.count == Self.answerBytes && bytes.starts(with: Self.head)
            && ProofKey.holds(
                bytes[Self.head.count...],
                key.proof(of: "fallow stream memory accept 1", nonce, Self.head, address: address))
    }

    private static let head: [UInt8] = {
        var bytes = HandshakeBytes()
        bytes.append(magic)
        bytes.append(version)
        return bytes.content
    }()
}
