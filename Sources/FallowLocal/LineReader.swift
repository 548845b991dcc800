/// One newline-delimited message: its bytes without the newline, and the descriptors that came with its first byte.
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

    /// Adds what one receive brought. The descriptors belong to the last line that begins in these bytes: the kernel gathers
    /// messages without descriptors before it, and ends a receive with the message that carries some (unix(7)).
    /// - Throws: `.overLimit`; the reader is of no use after that but for `takeDescriptors`.
    public mutating func append(_ bytes: some Sequence<UInt8>, descriptors: [Int32] = []) throws(LocalError) {
        let bytes = Array(bytes)
        let newline = UInt8(ascii: "\n")
        let lastStart = bytes.dropLast().lastIndex(of: newline).map { $0 + 1 } ?? 0
        for (index, byte) in bytes.enumerated() {
            if index == lastStart { try add(descriptors) }
            if byte == newline {
                lines.append(LineMessage(bytes: line, descriptors: lineDescriptors))
                line = []
                lineDescriptors = []
            } else {
                guard line.count < lineLimitBytes else {
                    if index < lastStart { lineDescriptors += descriptors }
                    throw LocalError(.overLimit, "a message is longer than the \(lineLimitBytes) bytes allowed")
                }
                line.append(byte)
            }
        }
    }

    private mutating func add(_ descriptors: [Int32]) throws(LocalError) {
        lineDescriptors += descriptors
        guard lineDescriptors.count <= LocalConnection.descriptorLimit else {
            throw LocalError(
                .overLimit,
                "a message carried \(lineDescriptors.count) descriptors; at most \(LocalConnection.descriptorLimit) are allowed"
            )
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
