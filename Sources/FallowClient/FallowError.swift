internal import FallowWire

/// Why a call of the client failed: a code to match, a sentence to read.
public struct FallowError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The numbers are those of `enum fallow_code` in fallow.h.
    public enum Code: Int32, Sendable, CaseIterable {
        /// An argument makes no sense; the sentence says which and what would.
        case invalid = 1
        /// No fallowd answers on this node.
        case noAgent = 2
        /// The cluster has nothing to lend just now.
        case noCapacity = 3
        /// The site's rules say no.
        case refused = 4
        /// The library cannot be opened or loaded.
        case libraryUnusable = 5
        /// The library has no such function.
        case unknownFunction = 6
        /// The payload is larger than the lease's input.
        case tooLarge = 7
        /// The result is larger than the capacity given; `bytesNeeded` says how large. The function ran.
        case resultTooLarge = 8
        /// Every slot is in flight.
        case full = 9
        /// Not answered in time. The function may still run.
        case timedOut = 10
        /// The lease ended before the function was started: safe to invoke again elsewhere.
        case notStarted = 11
        /// The lease ended while the function may have been running.
        case outcomeUnknown = 12
        /// The lease is over; nothing was sent.
        case leaseEnded = 13
        /// A fault of ours or of the system.
        case internalError = 14
        /// Bytes of remote memory were lost with the donors that held them. They are said to be lost until they are written
        /// again.
        case dataLost = 15
    }

    public var code: Code
    /// One sentence: what was wrong and, where that helps, what would be right.
    public var message: String
    /// With `resultTooLarge`: the bytes the result needs.
    public var bytesNeeded: Int

    public init(_ code: Code, _ message: String, bytesNeeded: Int = 0) {
        self.code = code
        self.message = message
        self.bytesNeeded = bytesNeeded
    }
    public var description: String { message }
}

extension FallowError {
    /// What an agent's refusal means to a client.
    init(_ error: WireError) {
        let code: Code =
            switch error.code {
            case .invalid: .invalid
            case .noCapacity, .unavailable: .noCapacity
            case .refused, .tooMany: .refused
            case .libraryUnusable: .libraryUnusable
            case .notFound: .leaseEnded
            case .conflict, .internalError: .internalError
            }
        self.init(code, error.message)
    }
}

extension LeaseEnd {
    /// Why, as the end of a sentence.
    var sentence: String {
        switch self {
        case .released: "it was released"
        case .clientGone: "the client was closed"
        case .expired: "its term is over"
        case .reclaimed: "the node's owner took the cores or the memory back"
        case .withdrawn: "the node lends no more (drained, or lending was switched off)"
        case .executorDied: "its executor died (a function crashed, or it was killed)"
        case .outOfMemory: "its executor used more memory than the lease has"
        case .agentGone: "the connection to the node's agent was lost"
        }
    }
}
