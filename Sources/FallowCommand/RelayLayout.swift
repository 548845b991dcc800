internal import Glibc
internal import Synchronization

/// The file between `fallow run` and its program, over which blocks go to donors on other nodes and back. pager/preload/relay.h has the
/// same numbers, docs/protocol.md says what they mean.
struct RelayLayout {
    static let magic: UInt64 = 0x3130_6c72_656c_6c66
    static let version: UInt32 = 1
    static let slots = 64
    static let slotBytes = 65_536
    static let headersOffset = 4096
    static let dataOffset = 8192
    static let byteCount = dataOffset + slots * slotBytes

    enum State {
        static let posted: UInt32 = 2
        static let served: UInt32 = 3
        static let done: UInt32 = 4
    }
    enum Operation {
        static let read: UInt32 = 1
        static let write: UInt32 = 2
    }

    /// What a slot asks for: copied once, since the program may change it at any time.
    struct Request {
        var isWrite: Bool
        var offset: Int
        var count: Int
    }

    let base: UnsafeMutableRawPointer

    /// Fills in a new file's header.
    func begin(capacityBytes: Int) {
        base.storeBytes(of: Self.magic, as: UInt64.self)
        base.storeBytes(of: Self.version, toByteOffset: 8, as: UInt32.self)
        base.storeBytes(of: UInt32(Self.slots), toByteOffset: 12, as: UInt32.self)
        base.storeBytes(of: UInt64(capacityBytes), toByteOffset: 16, as: UInt64.self)
        base.storeBytes(of: UInt64(Self.slotBytes), toByteOffset: 24, as: UInt64.self)
    }

    var closed: UnsafeMutablePointer<Atomic<UInt32>> { word(32) }
    var doorbell: UnsafeMutablePointer<Atomic<UInt32>> { word(36) }
    var sleeping: UnsafeMutablePointer<Atomic<UInt32>> { word(40) }
    func state(_ slot: Int) -> UnsafeMutablePointer<Atomic<UInt32>> { word(Self.headersOffset + slot * 64) }

    /// - Returns: nil: it makes no sense.
    func request(_ slot: Int, capacityBytes: Int) -> Request? {
        let header = base + Self.headersOffset + slot * 64
        let operation = header.load(fromByteOffset: 4, as: UInt32.self)
        let offset = header.load(fromByteOffset: 8, as: UInt64.self)
        let count = header.load(fromByteOffset: 16, as: UInt64.self)
        guard operation == Operation.read || operation == Operation.write, count > 0, count <= UInt64(Self.slotBytes),
            offset <= UInt64(capacityBytes), count <= UInt64(capacityBytes) - offset
        else { return nil }
        return Request(isWrite: operation == Operation.write, offset: Int(offset), count: Int(count))
    }

    func setError(_ error: Int32, of slot: Int) {
        base.storeBytes(
            of: UInt32(bitPattern: error), toByteOffset: Self.headersOffset + slot * 64 + 24, as: UInt32.self)
    }

    func data(_ slot: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + Self.dataOffset + slot * Self.slotBytes, count: count)
    }

    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
}
