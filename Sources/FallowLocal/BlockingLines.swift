internal import FallowModel
internal import Glibc

/// Newline-delimited messages over a stream connection for a caller that waits: every call has its deadline.
///
/// Not thread-safe: one owner at a time. After a `.timedOut` from `send`, or any `.overLimit`, close it: the stream may have stopped
/// in the middle of a message.
public final class BlockingLines: @unchecked Sendable {
    public let connection: LocalConnection
    private var reader: LineReader

    public init(_ connection: LocalConnection, lineLimitBytes: Int = 1 << 20) {
        precondition(connection.type == .stream, "lines need a stream")
        self.connection = connection
        reader = LineReader(lineLimitBytes: lineLimitBytes)
    }

    deinit { close() }

    /// Sends a whole message (without its newline). Blocks at most for the time-out. The descriptors stay the caller's.
    public func send(
        _ bytes: some Sequence<UInt8>, descriptors: [Int32] = [], timeout: Duration
    ) throws(LocalError) {
        let deadline = deadlineNanoseconds(after: timeout)
        var outgoing = OutgoingLines()
        defer { outgoing.clear() }
        try outgoing.append(bytes, descriptors: descriptors, limitBytes: .max)
        while true {
            try outgoing.flush(to: connection)
            if outgoing.isEmpty { return }
            guard waitReady(connection.descriptor, for: POLLOUT, until: deadline) else {
                throw LocalError(.timedOut, "the peer did not take a message within \(timeout)")
            }
        }
    }

    /// Receives the next message. Blocks at most for the time-out; `.zero` only looks.
    /// - Returns: nil when the peer has closed between messages.
    /// - Throws: `.timedOut`; `.closed` when the peer closed in the middle of a message; `.overLimit`.
    public func receive(timeout: Duration) throws(LocalError) -> LineMessage? {
        let deadline = deadlineNanoseconds(after: timeout)
        while true {
            if let message = reader.next() { return message }
            let outcome = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { buffer in
                Result { () throws(LocalError) -> Int? in
                    guard let (count, descriptors) = try connection.receive(into: buffer) else { return nil }
                    try reader.append(buffer[..<count], descriptors: descriptors)
                    return count
                }
            }
            switch try outcome.get() {
            case 0:
                guard reader.isWithinLine else { return nil }
                throw LocalError(.closed, "the peer closed the connection in the middle of a message")
            case nil:
                guard waitReady(connection.descriptor, for: POLLIN, until: deadline) else {
                    throw LocalError(.timedOut, "no message came within \(timeout)")
                }
            default: continue
            }
        }
    }

    /// Closes the connection and every descriptor of messages not taken. Harmless when done before.
    public func close() {
        for descriptor in reader.takeDescriptors() { Glibc.close(descriptor) }
        connection.close()
    }
}
