/// What travels on a connection once both ends have proved themselves: requests one way, replies in the same order the other,
/// each followed by its bytes. All numbers are little-endian.
struct StreamRequest {
    enum Kind: UInt32 {
        case read = 1
        case write = 2
    }
    static let bytes = 24

    var kind: UInt32
    /// Counts requests, from 0 on, and wraps.
    var sequence: UInt32
    var offset: UInt64
    /// How many bytes are wanted, or follow.
    var count: UInt64

    init(_ kind: Kind, sequence: UInt32, offset: Int, count: Int) {
        self.kind = kind.rawValue.littleEndian
        self.sequence = sequence.littleEndian
        self.offset = UInt64(offset).littleEndian
        self.count = UInt64(count).littleEndian
    }

    /// What is asked for; nil when it is nothing that a borrower may ask for.
    func checked(sequence expected: UInt32, capacityBytes: Int) -> (kind: Kind, range: Range<Int>)? {
        let (offset, count) = (UInt64(littleEndian: offset), UInt64(littleEndian: count))
        guard let kind = Kind(rawValue: UInt32(littleEndian: kind)), UInt32(littleEndian: sequence) == expected,
            count > 0, count <= UInt64(capacityBytes), offset <= UInt64(capacityBytes) - count
        else { return nil }
        return (kind, Int(offset)..<Int(offset) + Int(count))
    }
}

/// In front of a read's bytes; alone, once a write's bytes are in the memory.
struct StreamReply: Equatable {
    static let bytes = 8

    var kind: UInt32 = 0
    var sequence: UInt32 = 0

    init() {}
    init(_ kind: StreamRequest.Kind, sequence: UInt32) {
        self.kind = kind.rawValue.littleEndian
        self.sequence = sequence.littleEndian
    }
}
