/// One newline-delimited message: its bytes without the newline, and the descriptors that were sent with it.
///
/// Whoever takes it owns the descriptors and closes them.
public struct LineMessage: Hashable, Sendable {
    public var bytes: [UInt8]
    public var descriptors: [Int32]
    public init(bytes: [UInt8], descriptors: [Int32] = []) {
        self.bytes = bytes
        self.descriptors = descriptors
    }
    /// The bytes as text; ill-formed UTF-8 is repaired.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// Cuts a stream of bytes into lines. A line longer than the limit is an error, found before it is stored.
public struct LineReader: Sendable {
    public let lineLimitBytes: Int
    private var line: [UInt8] = []
    private var lineDescriptors: [Int32] = []
    private var lines: [LineMessage] = []
    private var nextLine = 0

    public init(lineLimitBytes: Int) { self.lineLimitBytes = lineLimitBytes }

    /// Whether a line has begun and not ended, as after a peer closed in the middle of one.
    public var isWithinLine: Bool { !line.isEmpty || !lineDescriptors.isEmpty }

    /// Adds what one receive brought. The descriptors go to the last line that begins in these bytes.
    ///
    /// A stream's receive may return several sends at once, but ends after the first that carried descriptors. Since a sender of
    /// lines sends each by itself, the descriptors' line is the last that begins here.
    /// - Throws: `.overLimit`; the reader is of no use after that but for `takeDescriptors`.
    public mutating func append(_ bytes: some Sequence<UInt8>, descriptors: [Int32] = []) throws(LocalError) {
        let linesBefore = lines.count
        var tooLong = false
        for byte in bytes where !tooLong {
            if byte == UInt8(ascii: "\n") {
                lines.append(LineMessage(bytes: line, descriptors: lineDescriptors))
                line = []
                lineDescriptors = []
            } else if line.count < lineLimitBytes {
                line.append(byte)
            } else {
                tooLong = true
            }
        }
        let owner: Int
        if line.isEmpty, lines.count > linesBefore {
            lines[lines.count - 1].descriptors += descriptors
            owner = lines[lines.count - 1].descriptors.count
        } else {
            lineDescriptors += descriptors
            owner = lineDescriptors.count
        }
        guard !tooLong else {
            throw LocalError(.overLimit, "a message is longer than the \(lineLimitBytes) bytes allowed")
        }
        guard owner <= LocalConnection.descriptorLimit else {
            throw LocalError(
                .overLimit,
                "a message carried \(owner) descriptors; at most \(LocalConnection.descriptorLimit) are allowed")
        }
    }

    /// The next whole line, if there is one.
    public mutating func next() -> LineMessage? {
        guard nextLine < lines.count else { return nil }
        let message = lines[nextLine]
        nextLine += 1
        if nextLine == lines.count {
            lines.removeAll()
            nextLine = 0
        }
        return message
    }

    /// The descriptors of every line not taken, for closing when the connection ends.
    public mutating func takeDescriptors() -> [Int32] {
        let left = lines[nextLine...].flatMap(\.descriptors) + lineDescriptors
        lines.removeAll()
        nextLine = 0
        lineDescriptors = []
        return left
    }
}
