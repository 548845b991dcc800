public import FallowModel

/// A moment as operators write it: a span back from now, or a local date.
///
/// The time zone is an argument: `offset` gives the seconds by which local time is ahead of UTC at a second since 1970.
public struct ReportTime: Sendable {
    public typealias Offset = (Int64) -> Int64

    /// Why a text is no moment, with what would be right.
    public struct Problem: Error, CustomStringConvertible, Sendable, Hashable {
        public let description: String
    }
    /// What is understood, for messages.
    public static let forms = "d=7, h=12, m=30, 7d, 12h, 30m, 2026-03-01, 2026-03-01T12:30, today or now"

    /// - Throws: `Problem` for what is no moment, no day of the calendar, or left out by a change of summer time.
    public static func parse(_ text: String, now: Timestamp, offset: Offset) throws(Problem) -> Timestamp {
        if text == "now" { return now }
        if let seconds = span(text) {
            return Timestamp(nanosecondsSinceEpoch: now.nanosecondsSinceEpoch - Int64(seconds * 1e9))
        }
        let nowSeconds = Level.floor(now.nanosecondsSinceEpoch, 1_000_000_000)
        let today = Level.floor(nowSeconds + offset(nowSeconds), 86_400)
        if text == "today" { return try resolve(today * 86_400, text, offset) }
        if text == "yesterday" { return try resolve((today - 1) * 86_400, text, offset) }
        return try resolve(try civil(text), text, offset)
    }

    /// `d=7` and `7d` as seconds. A day is 24 hours, whatever the clocks did meanwhile.
    private static func span(_ text: String) -> Double? {
        let units: [Substring: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        let (number, unit) = parts.count == 2 ? (parts[1], parts[0]) : (text.dropLast(), text.suffix(1))
        guard let scale = units[unit], let count = Double(number), count > 0, count * scale <= 100 * 365 * 86_400 else {
            return nil
        }
        return count * scale
    }

    /// `2026-03-01[T12:30[:15]]` as seconds of a clock that knows no zones.
    private static func civil(_ text: String) throws(Problem) -> Int64 {
        let halves = text.split(separator: "T", omittingEmptySubsequences: false)
        let date = halves[0].split(separator: "-", omittingEmptySubsequences: false).map(whole)
        guard halves.count <= 2, date.count == 3, let year = date[0], let month = date[1], let day = date[2],
            (1970...2262).contains(year)
        else { throw Problem(description: "'\(text)' is no time; these are: \(forms)") }
        guard (1...12).contains(month) else { throw Problem(description: "'\(text)': there is no month \(month)") }
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days: Int64 = month == 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
        guard (1...days).contains(day) else {
            throw Problem(description: "'\(text)': month \(month) of \(year) has \(days) days")
        }
        var seconds: Int64 = 0
        if halves.count == 2 {
            let clock = halves[1].split(separator: ":", omittingEmptySubsequences: false).map(whole)
            guard (2...3).contains(clock.count), let hour = clock[0], let minute = clock[1],
                let second = clock.count == 3 ? clock[2] : 0, hour < 24, minute < 60, second < 60
            else { throw Problem(description: "'\(text)': '\(halves[1])' is no time of day; 12:30 or 12:30:15 is") }
            seconds = hour * 3600 + minute * 60 + second
        }
        // Days since 1970 of the proleptic Gregorian calendar, years counted from March.
        let y = month <= 2 ? year - 1 : year
        let yearOfEra = y % 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return ((y / 400) * 146_097 + dayOfEra - 719_468) * 86_400 + seconds
    }

    private static func whole(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int64(text) : nil
    }

    /// The moment at which local clocks show so many seconds; the first, where they show them twice.
    private static func resolve(_ local: Int64, _ text: String, _ offset: Offset) throws(Problem) -> Timestamp {
        let offsets = Set([offset(local - 86_400), offset(local), offset(local + 86_400)])
        let moments = offsets.map { local - $0 }.filter { $0 + offset($0) == local }
        guard let first = moments.min() else {
            throw Problem(description: "'\(text)' never was here: the clocks were put forward over it")
        }
        return Timestamp(nanosecondsSinceEpoch: first * 1_000_000_000)
    }
}
