internal import CSodium

/// Bytes that only who has the key can read, and nobody can alter (XSalsa20 and Poly1305).
public enum SecretBox {
    public static let keyByteCount = Int(crypto_secretbox_KEYBYTES)
    private static let nonceByteCount = Int(crypto_secretbox_NONCEBYTES)
    private static let codeByteCount = Int(crypto_secretbox_MACBYTES)

    /// The nonce, which is drawn at random, and what is sealed.
    /// - Precondition: the key has `keyByteCount` bytes.
    public static func seal(_ plain: [UInt8], key: [UInt8]) -> [UInt8] {
        precondition(key.count == keyByteCount, "a key has \(keyByteCount) bytes, not \(key.count)")
        var random = SystemRandomNumberGenerator()
        let nonce = (0..<nonceByteCount / 8).flatMap { _ in withUnsafeBytes(of: random.next() as UInt64, Array.init) }
        return nonce
            + [UInt8](unsafeUninitializedCapacity: codeByteCount + plain.count) { buffer, count in
                crypto_secretbox_easy(buffer.baseAddress!, plain, UInt64(plain.count), nonce, key)
                count = codeByteCount + plain.count
            }
    }

    /// What was sealed; nil where it was sealed with another key, or altered.
    /// - Precondition: the key has `keyByteCount` bytes.
    public static func open(_ box: [UInt8], key: [UInt8]) -> [UInt8]? {
        precondition(key.count == keyByteCount, "a key has \(keyByteCount) bytes, not \(key.count)")
        guard box.count >= nonceByteCount + codeByteCount else { return nil }
        let nonce = Array(box[..<nonceByteCount])
        let sealed = Array(box[nonceByteCount...])
        var isGenuine = false
        let plain = [UInt8](unsafeUninitializedCapacity: sealed.count) { buffer, count in
            isGenuine = crypto_secretbox_open_easy(buffer.baseAddress!, sealed, UInt64(sealed.count), nonce, key) == 0
            count = isGenuine ? sealed.count - codeByteCount : 0
        }
        return isGenuine ? plain : nil
    }
}
