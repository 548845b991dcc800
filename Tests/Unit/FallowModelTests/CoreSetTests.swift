import FallowModel
import Foundation
import Testing

@Suite("core sets") struct CoreSetTests {
    @Test(
        arguments: [
            ("", [], ""), ("0", [0], "0"), ("0-3,8", [0, 1, 2, 3, 8], "0-3,8"), ("8,0-3", [0, 1, 2, 3, 8], "0-3,8"),
            ("0-6:2", [0, 2, 4, 6], "0,2,4,6"), ("63-65,127,128", [63, 64, 65, 127, 128], "63-65,127-128"),
            ("1,1,1", [1], "1"), ("65535", [65_535], "65535"),
        ] as [(String, [Int], String)]) func parsesAndPrints(text: String, numbers: [Int], printed: String) throws
    {
        let set = try #require(MachineCPUSet(parsing: text))
        #expect(Array(set) == numbers)
        #expect(set.description == printed)
        #expect(set.count == numbers.count)
        #expect(set.isEmpty == numbers.isEmpty)
        #expect(MachineCPUSet(parsing: set.description) == set)
        #expect(numbers.allSatisfy { set.contains($0) })
    }

    @Test(arguments: [
        ",", "0,", ",0", "-", "-1", "1-", "3-1", "0-1-2", "a", "0 ", " 0", "0--1", "0:2:3", "0-4:0", "0-4:-1", "0-4:",
        "65536",
        "99999999999999999999", "+1", "0-65536", "0x1", "+0-+3",
    ]) func refuses(text: String) {
        #expect(MachineCPUSet(parsing: text) == nil)
    }

    @Test func equalSetsAreEqualHoweverTheyWereMade() {
        var shrunk = MachineCPUSet([1, 200])
        shrunk.remove(200)
        shrunk.remove(77)
        #expect(shrunk == MachineCPUSet([1]))
        #expect(shrunk.hashValue == MachineCPUSet([1]).hashValue)
        shrunk.remove(1)
        #expect(shrunk == MachineCPUSet() && shrunk.isEmpty)
        #expect(MachineCPUSet([1, 200]).intersection(MachineCPUSet([1, 3])) == MachineCPUSet([1]))
        #expect(MachineCPUSet([1, 200]).subtracting(MachineCPUSet([200])) == MachineCPUSet([1]))
    }

    /// Against the standard library's sets, over sets of every size up to three words.
    @Test func algebraAgreesWithSets() {
        var state: UInt64 = 42
        func random(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<500 {
            let a = Set((0..<random(below: 40)).map { _ in random(below: 190) })
            let b = Set((0..<random(below: 40)).map { _ in random(below: 190) })
            let (x, y) = (MachineCPUSet(a), MachineCPUSet(b))
            #expect(Array(x) == a.sorted())
            #expect(Array(x.union(y)) == a.union(b).sorted())
            #expect(Array(x.intersection(y)) == a.intersection(b).sorted())
            #expect(Array(x.subtracting(y)) == a.subtracting(b).sorted())
            #expect(x.isDisjoint(with: y) == a.isDisjoint(with: b))
            #expect(x.isSubset(of: y) == a.isSubset(of: b))
            #expect(x.intersection(y).isSubset(of: y) && x.subtracting(y).isDisjoint(with: y))
            #expect(MachineCPUSet(parsing: x.description) == x)
        }
    }

    @Test func hostileListsCostLittle() {
        let list = Array(repeating: "0-65535", count: 100_000).joined(separator: ",")
        let clock = ContinuousClock()
        let spent = clock.measure { #expect(MachineCPUSet(parsing: list) == nil) }
        #expect(spent < .seconds(2))
        #expect(MachineCPUSet(parsing: "0-65535")?.count == 65_536)
    }

    @Test func containsNothingOutOfRange() {
        let set = MachineCPUSet([0, 65_535])
        #expect(!set.contains(-1) && !set.contains(65_536) && !set.contains(.max) && !set.contains(.min))
    }

    @Test func standsInJSONAsAList() throws {
        let data = try JSONEncoder().encode([AbstractCoreSet([0, 1, 5])])
        #expect(String(decoding: data, as: UTF8.self) == "[\"0-1,5\"]")
        #expect(try JSONDecoder().decode([AbstractCoreSet].self, from: data) == [AbstractCoreSet([0, 1, 5])])
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([AbstractCoreSet].self, from: Data("[\"3-1\"]".utf8))
        }
    }
}
