/// Little-endian numbers, one after the other. Reading past the end is a bug: lengths are checked before.
public struct HandshakeBytes: Sendable {
    public private(set) var content: [UInt8]
    private var position = 0

    public init(content: [UInt8] = []) { self.content = content }

    public mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { content += $0 }
    }
    public mutating func append(_ bytes: [UInt8]) { content += bytes }

    public mutating func take(_ count: Int) -> [UInt8] {
        defer { position += count }
        return Array(content[position..<position + count])
    }
    public mutating func next<Number: FixedWidthInteger>(_: Number.Type) -> Number {
        take(MemoryLayout<Number>.size).reversed().reduce(0) { $0 << 8 | Number($1) }
    }
}
