import FallowModel
import FallowReporting
import Testing

@Suite struct NaturalOrderTests {
    @Test func namesAreOrderedAsPeopleCount() {
        let names = ["n10", "n9", "n1", "a", "n010", "n2x1", "n2", "n", "b99999999999999999999999", "b1", ""]
        let sorted = names.map { NodeName($0) }.sorted(by: NaturalOrder.precedes).map(\.text)
        #expect(sorted == ["", "a", "b1", "b99999999999999999999999", "n", "n1", "n2", "n2x1", "n9", "n010", "n10"])
    }

    @Test func itIsAnOrder() {
        let names = ["a1", "a01", "a001b", "a1b", "a", "1", "01", "a1b2", "a1b10"].map { NodeName($0) }
        for a in names {
            #expect(!NaturalOrder.precedes(a, a))
            for b in names where a != b {
                #expect(NaturalOrder.precedes(a, b) != NaturalOrder.precedes(b, a), "\(a) \(b)")
                for c in names where NaturalOrder.precedes(a, b) && NaturalOrder.precedes(b, c) {
                    #expect(NaturalOrder.precedes(a, c), "\(a) \(b) \(c)")
                }
            }
        }
    }
}
