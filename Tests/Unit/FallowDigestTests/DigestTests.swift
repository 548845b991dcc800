import FallowDigest
import Testing

@Suite struct DigestTests {
    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(
        "SHA-256 gives FIPS 180-4's answers",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                String(repeating: "a", count: 1_000_000),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
            ),
        ])
    func knownDigests(text: String, digest: String) {
        #expect(hexadecimal(SHA256.hash(text.utf8)) == digest)
    }

    @Test("pieces of any size, contiguous or not, give the digest of the whole")
    func pieces() {
        let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for size in [1, 63, 64, 65, 4096] {
            var hash = SHA256()
            for start in stride(from: 0, to: bytes.count, by: size) {
                let piece = bytes[start..<min(start + size, bytes.count)]
                if start % 2 == 0 { hash.update(piece) } else { hash.update(piece.lazy.map { $0 }) }
            }
            #expect(hash.finalize() == SHA256.hash(bytes))
        }
    }

    @Test("HMAC-SHA256 gives RFC 4231's answers, for short keys and for keys longer than a block")
    func knownCodes() {
        var short = HMACSHA256(key: Array("Jefe".utf8))
        short.update(Array("what do ya want ".utf8))
        short.update(Array("for nothing?".utf8))
        #expect(
            hexadecimal(short.finalize()) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        var long = HMACSHA256(key: [UInt8](repeating: 0xaa, count: 131))
        long.update(Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8))
        #expect(hexadecimal(long.finalize()) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test("codes agree as far as they are asked to, and never beyond their ends")
    func comparison() {
        let code: [UInt8] = [1, 2, 3, 4]
        #expect(agreeInConstantTime(code, [1, 2, 3, 4], bytes: 4))
        #expect(agreeInConstantTime(code, [1, 2, 3, 9], bytes: 3))
        #expect(!agreeInConstantTime(code, [1, 2, 3, 9], bytes: 4))
        #expect(!agreeInConstantTime(code, [1, 2, 3], bytes: 4))
    }
}
