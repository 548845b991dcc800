internal import FallowModel
internal import Glibc

/// What went wrong with a local socket, a process handle or the event loop.
public struct LocalError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// A socket path does not fit into an address, or is no path.
        case badPath
        /// Somebody is already listening on that path.
        case pathInUse
        /// Nobody listens there (no file, or nobody behind it).
        case notListening
        /// The caller's rights do not suffice.
        case notPermitted
        /// The deadline came first.
        case timedOut
        /// The other side closed the connection.
        case closed
        /// A message or its descriptors are more than this side accepts, or the peer reads too slowly.
        case overLimit
        /// The operating system refused; `errorNumber` says why.
        case system
    }
    public var code: Code
    /// What was wrong and, where it helps, what would be right.
    public var sentence: String
    /// The errno behind it, 0 when there is none.
    public var errorNumber: Int32

    public init(_ code: Code, _ sentence: String, errorNumber: Int32 = 0) {
        self.code = code
        self.sentence = sentence
        self.errorNumber = errorNumber
    }

    public var description: String {
        errorNumber == 0 ? sentence : "\(sentence): \(String(cString: strerror(errorNumber)))"
    }

    /// For a failed system call; picks the code from errno.
    static func system(_ sentence: String, _ errorNumber: Int32) -> LocalError {
        let code: Code =
            switch errorNumber {
            case EACCES, EPERM: .notPermitted
            case ENOENT, ECONNREFUSED: .notListening
            case EADDRINUSE: .pathInUse
            case EPIPE, ECONNRESET: .closed
            default: .system
            }
        return LocalError(code, sentence, errorNumber: errorNumber)
    }
}

/// The monotonic clock's time in nanoseconds: the base of every deadline here.
func monotonicNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}

/// `now + span`, saturating.
func deadlineNanoseconds(after span: Duration) -> Int64 {
    let (sum, overflow) = monotonicNanoseconds().addingReportingOverflow(max(0, span.nanoseconds))
    return overflow ? .max : sum
}

/// Waits until the descriptor is ready or the deadline has come.
/// - Returns: false when the deadline came first.
func waitReady(_ descriptor: Int32, for events: Int32, until deadline: Int64) -> Bool {
    while true {
        let left = max(0, deadline - monotonicNanoseconds())
        var watched = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        // Rounded up: a wait must not end early and spin.
        let count = poll(&watched, 1, Int32(min(left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1), 3_600_000)))
        if count > 0 { return true }
        if count == 0, monotonicNanoseconds() >= deadline { return false }
        if count < 0, errno != EINTR { return true }  // the call that follows reports it
    }
}
