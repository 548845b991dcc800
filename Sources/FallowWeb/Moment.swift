internal import FallowModel

/// A moment as HTML wants it, and in UTC for who has no script.
struct Moment: Sendable {
    var iso: String
    var text: String

    init(_ time: Timestamp) {
        let seconds = Int64((Double(time.nanosecondsSinceEpoch) / 1e9).rounded(.down))
        let (day, rest) = (Self.floor(seconds, 86_400), seconds - Self.floor(seconds, 86_400) * 86_400)
        let (year, month, date) = Self.civil(day)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let (hour, minute) = (two(rest / 3600), two(rest / 60 % 60))
        iso = "\(year)-\(two(month))-\(two(date))T\(hour):\(minute):\(two(rest % 60))Z"
        text = "\(year)-\(two(month))-\(two(date)) \(hour):\(minute) UTC"
    }

    private static func floor(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : -((divisor - 1 - value) / divisor)
    }

    /// Howard Hinnant's days_from_civil, turned round: eras of 400 years that begin in March.
    private static func civil(_ day: Int64) -> (year: Int64, month: Int64, date: Int64) {
        let shifted = day + 719_468
        let era = floor(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let realMonth = month < 10 ? month + 3 : month - 9
        return (yearOfEra + era * 400 + (realMonth <= 2 ? 1 : 0), realMonth, dayOfYear - (153 * month + 2) / 5 + 1)
    }
}
