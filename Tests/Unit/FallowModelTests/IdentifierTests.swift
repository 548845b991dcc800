import FallowModel
import Foundation
import Testing

@Suite("identifiers") struct IdentifierTests {
    @Test func leaseIDsAreSixteenHexadecimalDigits() {
        #expect(LeaseID(0xabc).description == "0000000000000abc")
        #expect(LeaseID(.max).description == "ffffffffffffffff")
        #expect(LeaseID(parsing: "0000000000000ABC") == LeaseID(0xabc))
        #expect(LeaseID(parsing: "ffffffffffffffff") == LeaseID(.max))
    }

    @Test(arguments: [
        "", "abc", "0000000000000abcd", "000000000000000g", "+000000000000abc", "0x00000000000abc", "００００0abc",
    ])
    func otherTextIsNoLeaseID(text: String) {
        #expect(LeaseID(parsing: text) == nil)
    }

    @Test func stepsPrintAsSlurmPrintsThem() {
        #expect(
            [StepID.batch, .extern, .interactive, StepID(3)].map(\.description) == [
                "batch", "extern", "interactive", "3",
            ])
        #expect(StepID(4_294_967_291) == .batch)
    }

    @Test func standInJSONAsTheirRawValue() throws {
        struct All: Codable, Equatable {
            var job = JobID(7)
            var step = StepID.batch
            var user = UserID(1000)
            var node = NodeName("n1")
            var lease = LeaseID(255)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(All()), as: UTF8.self)
        #expect(text == #"{"job":7,"lease":"00000000000000ff","node":"n1","step":4294967291,"user":1000}"#)
        #expect(try JSONDecoder().decode(All.self, from: Data(text.utf8)) == All())
        for bad in [#""ff""#, "255", "null"] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(LeaseID.self, from: Data(bad.utf8)) }
        }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(JobID.self, from: Data("-1".utf8)) }
    }

    @Test func orders() {
        #expect([JobID(10), JobID(9)].sorted() == [JobID(9), JobID(10)])
        #expect([NodeName("n2"), NodeName("n1")].sorted().map(\.text) == ["n1", "n2"])
    }
}

@Suite("time") struct TimestampTests {
    @Test func spansAddAndSubtract() {
        let start = Timestamp(secondsSinceEpoch: 1.5)
        #expect(start.nanosecondsSinceEpoch == 1_500_000_000)
        #expect((start + .milliseconds(250)) - start == .milliseconds(250))
        #expect(start - (start + .seconds(2)) == .seconds(-2))
        #expect((start + .seconds(1)).secondsSinceEpoch == 2.5)
    }

    @Test func extremesSaturateInsteadOfCrashing() {
        let end = Timestamp(nanosecondsSinceEpoch: .max)
        #expect(end + .seconds(1) == end)
        #expect(Timestamp(nanosecondsSinceEpoch: .min) + .seconds(-1) == Timestamp(nanosecondsSinceEpoch: .min))
        #expect(Timestamp(nanosecondsSinceEpoch: .min) - end < .zero)
        #expect(Timestamp(secondsSinceEpoch: 1e300) == end)
        #expect(Timestamp(secondsSinceEpoch: -.infinity).nanosecondsSinceEpoch == .min)
        #expect(Timestamp(secondsSinceEpoch: .nan).nanosecondsSinceEpoch == 0)
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.seconds(Int64.min).nanoseconds == .min)
        // The whole seconds just fit; the fraction does not.
        #expect((Duration.seconds(9_223_372_036) + .milliseconds(900)).nanoseconds == .max)
    }

    @Test func nanosecondsOfNegativeSpans() {
        #expect(Duration.milliseconds(-1500).nanoseconds == -1_500_000_000)
        #expect(Duration.milliseconds(-1500).inSeconds == -1.5)
    }
}
