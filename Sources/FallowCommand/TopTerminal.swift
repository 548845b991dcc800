internal import FallowReporting
internal import Glibc

/// The terminal that `fallow top` draws on: raw, on its other screen, and as it was afterwards.
final class TopTerminal {
    private let input: Int32
    private let output: Int32
    private var before = termios()
    private var isOurs = false

    /// - Returns: nil when the two are no terminal.
    init?(input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO) {
        guard isatty(input) != 0, isatty(output) != 0, tcgetattr(input, &before) == 0 else { return nil }
        self.input = input
        self.output = output
    }

    deinit { giveBack() }

    /// Takes the terminal: no echo, keys at once, the other screen, no cursor. Again, after somebody else had it.
    func take() {
        var raw = before
        cfmakeraw(&raw)
        tcsetattr(input, TCSAFLUSH, &raw)
        isOurs = true
        write("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l")
    }

    /// As it was before `take`. Harmless when done before.
    func giveBack() {
        guard isOurs else { return }
        isOurs = false
        write("\u{1b}[?2026l\u{1b}[0m\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l")
        tcsetattr(input, TCSAFLUSH, &before)
    }

    /// Columns and rows; 80 and 24 when the terminal does not say.
    var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(output, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Writes all of it, waiting while the terminal takes nothing.
    /// - Returns: false when the terminal is gone.
    @discardableResult
    func write(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(output, $0.baseAddress! + done, $0.count - done) }
            if count > 0 {
                done += count
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, 1000)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}
