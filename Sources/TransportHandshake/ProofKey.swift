internal import FallowDigest

/// A lease's secret, as far as it proves to each end of a connect that the other one knows it. It never travels.
public struct ProofKey: Sendable {
    /// Bytes of a lease's secret.
    public static let secretBytes = 32
    /// Bytes of a whole proof.
    public static let proofBytes = 32
    /// Bytes of a nonce: the client's, fresh with every connect.
    public static let nonceBytes = 16

    private let secret: [UInt8]

    public init(secret: [UInt8]) { self.secret = secret }

    /// HMAC-SHA256 over the purpose, the parts, and the listener's address as the client was told it.
    /// - Parameter purpose: names the transport, the direction and the version, so that no proof serves twice.
    public func proof(of purpose: String, _ parts: [UInt8]..., address: String) -> [UInt8] {
        var code = HMACSHA256(key: secret)
        code.update(Array(purpose.utf8))
        for part in parts { code.update(part) }
        code.update(Array(address.utf8))
        return code.finalize()
    }

    /// Whether a proof, or the beginning of one that a transport has no room for whole, is the expected one. Compares in
    /// constant time.
    /// - Parameter bytes: how long it has to be.
    public static func holds(_ given: some Collection<UInt8>, _ expected: [UInt8], bytes: Int = proofBytes) -> Bool {
        given.count == bytes && agreeInConstantTime(Array(given), expected, bytes: bytes)
    }

    /// A nonce that nobody can foresee.
    public static func freshNonce() -> [UInt8] { (0..<nonceBytes).map { _ in UInt8.random(in: .min ... .max) } }
}
