internal import FallowReporting

/// Numbers as people read them.
enum Digits {
    /// `1234567.8` as `1,234,567.8`.
    static func grouped(_ number: String) -> String {
        let parts = number.split(separator: ".", maxSplits: 1)
        let whole = Array(parts.first ?? "")
        var grouped = ""
        for (index, digit) in whole.enumerated() {
            let isBetween = index > 0 && whole[index - 1].isNumber && digit.isNumber
            if isBetween, (whole.count - index) % 3 == 0 { grouped.append(",") }
            grouped.append(digit)
        }
        return parts.count > 1 ? "\(grouped).\(parts[1])" : grouped
    }

    /// Core-hours of core-seconds, in as many digits as the report gives.
    static func hours(_ seconds: Double) -> String { grouped(ReportText.hours(seconds)) }
}
