internal import FallowModel
internal import FallowWire

/// How far back the page looks, and in which steps.
enum Span: String, CaseIterable, Sendable {
    case hours6 = "h6"
    case day = "d1"
    case week = "d7"
    case month = "d30"

    var seconds: Int64 {
        switch self {
        case .hours6: 6 * 3600
        case .day: 86_400
        case .week: 7 * 86_400
        case .month: 30 * 86_400
        }
    }
    /// Steps that the history knows, up to 180 of them.
    var stepSeconds: Int64 {
        switch self {
        case .hours6: 300
        case .day: 900
        case .week: 3600
        case .month: 4 * 3600
        }
    }
    var title: String {
        switch self {
        case .hours6: "6 hours"
        case .day: "24 hours"
        case .week: "7 days"
        case .month: "30 days"
        }
    }

    /// - Throws: `WireError` `invalid`, with what would be right.
    static func parse(_ text: String?) throws(WireError) -> Span {
        guard let text else { return .day }
        guard let span = Span(rawValue: text) else {
            throw WireError(
                .invalid, "since is '\(text)'; \(allCases.map(\.rawValue).joined(separator: ", ")) are right")
        }
        return span
    }

    func question(now: Timestamp, viewer: UserID? = nil) -> WebQuestion {
        WebQuestion(since: now + .seconds(-seconds), until: now, viewer: viewer)
    }
}
