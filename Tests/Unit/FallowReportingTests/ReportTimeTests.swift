import FallowModel
import Testing

@testable import FallowReporting

/// Zürich in 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC.
private func zurich(_ second: Int64) -> Int64 {
    (1_774_746_000..<1_792_890_000).contains(second) ? 7200 : 3600
}
private let now = Timestamp(secondsSinceEpoch: 1_774_872_000)  // 2026-03-30T12:00 UTC, 14:00 there

private func seconds(_ text: String) throws -> Int64 {
    try ReportTime.parse(text, now: now, offset: zurich).nanosecondsSinceEpoch / 1_000_000_000
}
private func problem(_ text: String) -> String {
    do {
        return "taken for \(try seconds(text))"
    } catch { return "\(error)" }
}

@Suite struct ReportTimeTests {
    @Test func spansBackFromNow() throws {
        for (text, span) in [
            ("d=7", 604_800), ("7d", 604_800), ("h=12", 43_200), ("12h", 43_200), ("30m", 1_800), ("m=1.5", 90),
            ("w=1", 604_800), ("90s", 90),
        ] as [(String, Int64)] {
            #expect(try seconds(text) == 1_774_872_000 - span, "\(text)")
        }
        #expect(try seconds("now") == 1_774_872_000)
    }

    @Test func localDates() throws {
        #expect(try seconds("2026-03-28") == 1_774_652_400)  // winter: 23:00 UTC of the day before
        #expect(try seconds("2026-03-30") == 1_774_821_600)  // summer: 22:00 UTC
        #expect(try seconds("today") == 1_774_821_600)
        // The day of the change has 23 hours.
        #expect(try seconds("today") - seconds("yesterday") == 82_800)
        #expect(try seconds("2026-10-26") - seconds("2026-10-25") == 90_000)
        #expect(try seconds("2026-03-30T14:00") == 1_774_872_000)
        #expect(try seconds("2026-03-30T14:00:07") == 1_774_872_007)
        // Shown twice: the first. 00:30 UTC.
        #expect(try seconds("2026-10-25T02:30") == 1_792_888_200)
        #expect(try seconds("2024-02-29") == 1_709_161_200)
        #expect(try seconds("1970-01-02") == 82_800)
    }

    @Test func whatIsNoTimeIsSaid() {
        #expect(problem("2026-02-29").contains("month 2 of 2026 has 28 days"))
        #expect(problem("2026-04-31").contains("has 30 days"))
        #expect(problem("2026-13-01").contains("no month 13"))
        #expect(problem("2026-03-01T25:00").contains("no time of day"))
        #expect(problem("2026-03-29T02:30").contains("put forward"))
        for text in [
            "", "d=", "=7", "d=-1", "7x", "2026", "2026-3", "1-2-3-4", "2026-03-01T", "1e9d", "x=y=z", "9999-01-01",
        ] {
            #expect(problem(text).contains("'\(text)'"), "\(text)")
        }
    }
}
