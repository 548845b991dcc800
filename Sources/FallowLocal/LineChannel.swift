internal import FallowModel
internal import Glibc

/// Newline-delimited messages over a stream connection, driven by an `EventLoop`.
///
/// Everything happens on the loop's thread. A peer that sends a line above the limit, or that does not read what it is sent until
/// more than `queueLimitBytes` wait, is dropped with `.overLimit`. A peer that keeps sending is read a bounded amount at a time.
public final class LineChannel {
    public let connection: LocalConnection
    private let loop: EventLoop
    private var reader: LineReader
    private let queueLimitBytes: Int
    private var outgoing = OutgoingLines()
    private var token: EventLoop.Token?
    private var watched: EventLoop.Events = .readable
    private var onMessage: ((LineMessage) -> Void)?
    private var onClose: ((LocalError?) -> Void)?
    private var isFinishing = false

    /// - Parameters:
    ///   - onMessage: called for each message; owns its descriptors.
    ///   - onClose: called once, when the peer has closed (nil), or the connection broke or was dropped (the reason). Not called after
    ///     `close()`. The connection is closed already.
    public init(
        _ connection: LocalConnection, loop: EventLoop, lineLimitBytes: Int = 1 << 20, queueLimitBytes: Int = 4 << 20,
        onMessage: @escaping (LineMessage) -> Void, onClose: @escaping (LocalError?) -> Void
    ) throws(LocalError) {
        precondition(connection.type == .stream, "lines need a stream")
        self.connection = connection
        self.loop = loop
        self.queueLimitBytes = queueLimitBytes
        self.onMessage = onMessage
        self.onClose = onClose
        reader = LineReader(lineLimitBytes: lineLimitBytes)
        token = try loop.watch(connection.descriptor, .readable) { [weak self] events in self?.serve(events) }
    }

    deinit {
        // The owner let go without close(): the watch must not outlive the descriptor.
        close()
    }

    public var isOpen: Bool { token != nil }

    /// Sends a message (without its newline); what the socket does not take now is queued. The descriptors stay the caller's and
    /// may be closed at once. Nothing happens when the channel is closed.
    ///
    /// A message that cannot be queued drops the peer: `onClose` is called from the loop soon after, never from here.
    public func send(_ bytes: some Sequence<UInt8>, descriptors: [Int32] = []) {
        guard isOpen, !isFinishing else { return }
        do {
            try outgoing.append(bytes, descriptors: descriptors, limitBytes: queueLimitBytes)
            try outgoing.flush(to: connection)
            try updateWatch()
        } catch {
            dropSoon(error)
        }
    }

    public func send(_ text: String, descriptors: [Int32] = []) { send(text.utf8, descriptors: descriptors) }

    /// Closes after what is queued has been sent, at most `timeout` later. Nothing more is received.
    public func finish(timeout: Duration = .seconds(1)) {
        guard isOpen, !isFinishing else { return }
        isFinishing = true
        if outgoing.isEmpty { return close() }
        loop.after(timeout) { [weak self] in self?.close() }
        try? updateWatch()
    }

    /// Closes at once; `onClose` is not called. Harmless when done before.
    public func close() {
        guard let token else { return }
        self.token = nil
        loop.cancel(token)
        for descriptor in reader.takeDescriptors() { Glibc.close(descriptor) }
        outgoing.clear()
        connection.close()
        onMessage = nil
        onClose = nil
    }

    private func end(_ reason: LocalError?) {
        let onClose = onClose
        close()
        onClose?(reason)
    }

    private func dropSoon(_ reason: LocalError?) {
        isFinishing = true
        outgoing.clear()
        loop.after(.zero) { [weak self] in self?.end(reason) }
    }

    private func updateWatch() throws(LocalError) {
        guard let token else { return }
        let wanted: EventLoop.Events = [isFinishing ? [] : .readable, outgoing.isEmpty ? [] : .writable]
        guard wanted != watched else { return }
        try loop.change(token, wanted)
        watched = wanted
    }

    private func serve(_ events: EventLoop.Events) {
        do {
            if events.contains(.writable) || isFinishing {
                try outgoing.flush(to: connection)
                if isFinishing, outgoing.isEmpty { return close() }
                try updateWatch()
            }
            if isFinishing {
                if events.contains(.hangup) { close() }
                return
            }
            if try receive() == .ended { end(nil) }
        } catch {
            end(error)
        }
    }

    private enum Received { case more, ended }

    /// One buffer's worth: level triggering brings us back for more, after the others' turn.
    private func receive() throws(LocalError) -> Received {
        let outcome = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { buffer in
            Result { () throws(LocalError) -> Received in
                guard let (count, descriptors) = try connection.receive(into: buffer) else { return .more }
                try reader.append(buffer[..<count], descriptors: descriptors)
                return count == 0 ? .ended : .more
            }
        }
        let received = try outcome.get()
        while isOpen, !isFinishing, let message = reader.next() { onMessage?(message) }
        return isOpen && !isFinishing ? received : .more
    }
}

/// Messages not yet taken by the socket, with duplicates of the descriptors to be sent with their first byte.
struct OutgoingLines {
    private struct Line {
        var bytes: [UInt8]
        var descriptors: [Int32]
    }
    private var lines: [Line] = []
    private var sentOfFirst = 0
    private var queuedBytes = 0

    var isEmpty: Bool { lines.isEmpty }

    mutating func append(_ bytes: some Sequence<UInt8>, descriptors: [Int32], limitBytes: Int) throws(LocalError) {
        var line = Array(bytes)
        guard !line.contains(UInt8(ascii: "\n")) else {
            throw LocalError(.overLimit, "a message must not contain a newline: it ends one")
        }
        line.append(UInt8(ascii: "\n"))
        guard queuedBytes + line.count <= limitBytes, lines.count < 65_536 else {
            throw LocalError(
                .overLimit, "the peer does not read: \(queuedBytes) bytes wait and at most \(limitBytes) may")
        }
        guard descriptors.count <= LocalConnection.descriptorLimit else {
            throw LocalError(
                .overLimit, "a message carries at most \(LocalConnection.descriptorLimit) descriptors")
        }
        var copies: [Int32] = []
        for descriptor in descriptors {
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else {
                for copy in copies { Glibc.close(copy) }
                throw .system("cannot duplicate descriptor \(descriptor)", errno)
            }
            copies.append(copy)
        }
        lines.append(Line(bytes: line, descriptors: copies))
        queuedBytes += line.count
    }

    /// Sends until everything is sent or the socket takes no more.
    mutating func flush(to connection: LocalConnection) throws(LocalError) {
        var done = 0
        defer { lines.removeFirst(done) }
        while done < lines.count {
            let line = lines[done]
            let rest = line.bytes[sentOfFirst...]
            let result = rest.withUnsafeBytes { rest in
                Result { () throws(LocalError) in try connection.send(rest, descriptors: line.descriptors) }
            }
            guard let sent = try result.get() else { return }
            for descriptor in line.descriptors { Glibc.close(descriptor) }
            lines[done].descriptors = []
            sentOfFirst += sent
            queuedBytes -= sent
            guard sentOfFirst == line.bytes.count else { continue }
            sentOfFirst = 0
            done += 1
        }
    }

    mutating func clear() {
        for line in lines { for descriptor in line.descriptors { Glibc.close(descriptor) } }
        self = OutgoingLines()
    }
}
