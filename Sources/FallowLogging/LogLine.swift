internal import Logging

/// An event as one line of text, whatever its values hold.
struct LogLine {
    enum Form: Sendable {
        /// `2026-11-27T18:40:00Z info fallowd: node=n1 [FallowAgent] fallowd starts`
        case full
        /// `<6>node=n1 [FallowAgent] fallowd starts`: journald knows the rest, and takes the level off (sd-daemon(3)).
        case journal
    }
    var level: Logger.Level
    var label: String
    var module: String
    var message: String
    var metadata: Logger.Metadata

    /// - Parameter time: called for a form that has one.
    func text(_ form: Form, time: () -> String) -> String {
        var line =
            switch form {
            case .full: "\(time()) \(level) \(label): "
            case .journal: "<\(priority)>"
            }
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { line += "\(key)=\(value) " }
        return Self.onOneLine(line + "[\(module)] \(message)") + "\n"
    }

    /// syslog's number.
    private var priority: Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    /// Line ends and other control characters are escaped: nobody's text can look like another line, nor reach a terminal.
    private static func onOneLine(_ text: String) -> String {
        func isControl(_ scalar: Unicode.Scalar) -> Bool {
            scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || (0x2028...0x2029).contains(scalar.value)
        }
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var line = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                line += scalar == "\n" ? "\\n" : "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                line.unicodeScalars.append(scalar)
            }
        }
        return line
    }
}
