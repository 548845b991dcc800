internal import CSodium

/// HMAC-SHA256 (RFC 2104), fed piece by piece. 32 bytes come out; a key may have any length.
public struct HMACSHA256: Sendable {
    public static let byteCount = Int(crypto_auth_hmacsha256_BYTES)

    private var state = crypto_auth_hmacsha256_state()

    public init(key: [UInt8]) { crypto_auth_hmacsha256_init(&state, key, key.count) }

    public mutating func update(_ bytes: [UInt8]) {
        crypto_auth_hmacsha256_update(&state, bytes, UInt64(bytes.count))
    }

    /// The code of everything so far; nothing may be added afterwards.
    public consuming func finalize() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            crypto_auth_hmacsha256_final(&state, buffer.baseAddress!)
            count = Self.byteCount
        }
    }
}

/// Whether two codes agree in their first `count` bytes, in a time that does not tell where they differ. Both must have
/// that many.
public func agreeInConstantTime(_ one: [UInt8], _ other: [UInt8], bytes count: Int) -> Bool {
    one.count >= count && other.count >= count && sodium_memcmp(one, other, count) == 0
}
