import FallowModel
import Foundation
import Testing

@Suite("byte counts") struct ByteCountTests {
    @Test(
        arguments: [
            ("0", 0), ("4096", 4096), ("1k", 1024), ("512M", 512 << 20), ("1.5G", 3 << 29), ("2T", 2 << 40),
            ("1P", 1 << 50),
            ("64GiB", 64 << 30), ("64gb", 64 << 30), ("10B", 10), ("0.5k", 512), ("4096P", 1 << 62),
            // Beyond 2^53 a Double would lose the last bytes.
            ("9007199254740993", 9_007_199_254_740_993), ("4611686018427387903", 4_611_686_018_427_387_903),
        ] as [(String, Int64)]) func parses(text: String, bytes: Int64)
    {
        #expect(ByteCount(parsing: text) == ByteCount(bytes))
    }

    @Test(arguments: [
        "", "G", "-1", "+1", "1X", "1GG", " 1", "1 ", "1 G", "1e3", "0x10", "nan", "inf", "1.2.3", ".5", "5.", "1i",
        "1iB", "4097P",
        "99999999999999999999", "1,5G", "½", "٣", "B", "iB", "1bb",
    ]) func refuses(text: String) {
        #expect(ByteCount(parsing: text) == nil)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (64 << 30, "64 GiB"), (-1536, "-1.5 KiB"),
            // Rounding must not leave a unit that is full.
            ((1 << 20) - 1, "1 MiB"), (.min, "-8192 PiB"),
        ] as [(Int64, String)]) func prints(bytes: Int64, text: String)
    {
        #expect(ByteCount(bytes).description == text)
    }

    @Test func arithmeticAndOrder() {
        var sum = ByteCount.kibibytes(1) + .mebibytes(1)
        sum -= ByteCount(24)
        sum += .gibibytes(1)
        #expect(sum.bytes == 1024 + (1 << 20) - 24 + (1 << 30))
        #expect(ByteCount.zero - ByteCount(1) < .zero)
    }

    @Test func standsInJSONAsANumber() throws {
        let data = try JSONEncoder().encode([ByteCount.kibibytes(4)])
        #expect(String(decoding: data, as: UTF8.self) == "[4096]")
        #expect(try JSONDecoder().decode([ByteCount].self, from: data) == [.kibibytes(4)])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([ByteCount].self, from: Data("[\"4k\"]".utf8)) }
    }
}
