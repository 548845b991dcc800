internal import FallowWire

/// Where a call's input and output lie in the lease's buffers.
struct BufferPlaces {
    static let none = BufferPlaces()

    /// Which of the two lie there.
    var placement: PayloadPlacement = []
    /// Whether the function uses them there; else they are copied.
    var isInPlace = false
    /// From the beginning of the buffers' memory, in bytes.
    var inputOffset: UInt64 = 0
    var outputOffset: UInt64 = 0

    /// What the executor is told.
    @inline(__always) var told: PayloadPlacement { isInPlace ? placement : [] }
}
