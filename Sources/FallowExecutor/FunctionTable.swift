internal import FallowWire

/// The functions that one connection has looked up: what a request's function index means.
///
/// Owned by one worker. Asking twice for one function gives one index; the table never grows beyond its bound.
struct FunctionTable: ~Copyable {
    static let capacity = 1024

    private let entries = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: Self.capacity)
    private var count = 0

    deinit { entries.deallocate() }

    /// The index of a function, new or known; nil when the table is full.
    mutating func index(of function: UnsafeMutableRawPointer) -> UInt32? {
        for index in 0..<count where entries[index] == function { return UInt32(index) }
        guard count < Self.capacity else { return nil }
        entries.advanced(by: count).initialize(to: function)
        count += 1
        return UInt32(count - 1)
    }

    /// The function of an index; nil when the index was never given out.
    @inline(__always)
    subscript(index: UInt32) -> UnsafeMutableRawPointer? { Int(index) < count ? entries[Int(index)] : nil }
}
