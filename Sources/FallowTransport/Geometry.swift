internal import FallowModel
internal import FallowWire

/// The shape of one worker's arena: how many invocations may be in flight, and how large each may be.
public struct ArenaGeometry: Hashable, Sendable, Codable {
    /// Invocations in flight at most, a power of two from 1 to 1024.
    public var slotCount: Int
    /// Most bytes of payload to the function.
    public var inputBytes: Int
    /// Most bytes of result from the function.
    public var outputBytes: Int
    /// Bytes of memory for buffers, shared by all workers of the lease; used over shared memory alone.
    public var bufferBytes: Int

    public init(slotCount: Int = 16, inputBytes: Int = 1 << 20, outputBytes: Int = 1 << 20, bufferBytes: Int = 0) {
        self.slotCount = slotCount
        self.inputBytes = inputBytes
        self.outputBytes = outputBytes
        self.bufferBytes = bufferBytes
    }

    /// Bytes from one input slot to the next: header and payload, rounded up to a page's quarter (1 KiB).
    public var inputStrideBytes: Int { (inputBytes + 64 + 1023) & ~1023 }
    /// Bytes from one output slot to the next.
    public var outputStrideBytes: Int { (outputBytes + 64 + 1023) & ~1023 }

    /// What is wrong with the shape, in one sentence; nil when nothing is.
    public var complaint: String? {
        if !(1...1024).contains(slotCount) || slotCount & (slotCount - 1) != 0 {
            return "slots must be a power of two from 1 to 1024, not \(slotCount)"
        }
        let largest = 1 << 30
        if !(0...largest).contains(inputBytes) { return "input must be 0 to 1 GiB, not \(inputBytes) bytes" }
        if !(0...largest).contains(outputBytes) { return "output must be 0 to 1 GiB, not \(outputBytes) bytes" }
        let mostBuffers = 1 << 38
        if !(0...mostBuffers).contains(bufferBytes) { return "buffers must be 0 to 256 GiB, not \(bufferBytes) bytes" }
        return nil
    }
}
