internal import CLinux
public import FallowTransport
internal import Glibc
internal import Synchronization

/// A donor's memory on this node: its memory file, read and written by `pread` and `pwrite`.
///
/// The memory itself is not mapped here: a file that was cut gives a short read, not a fault. The control page is, and both
/// its words are looked at after every access. A donor that is killed or frozen changes nothing until its agent has ended the
/// lease, since nobody's help is needed.
public struct ShmMemoryEndpoint: ~Copyable, MemoryEndpoint, @unchecked Sendable {
    public static var depth: Int { 64 }

    public let capacityBytes: Int
    private let descriptor: CInt
    private let control: UnsafeMutableRawPointer
    /// The ended and the reclaimed word, which lie side by side.
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let completions: UnsafeMutablePointer<MemoryCompletion>
    private var first = 0
    public private(set) var inFlight = 0
    private var isClosed = false

    /// Takes the descriptor over, also when this throws. A forked child does not have the control page.
    /// - Throws: `ShmArenaError` when the file may grow, or is not a donor's of this capacity.
    public init(adopting descriptor: CInt, capacityBytes: Int) throws(ShmArenaError) {
        do {
            try DonorMemoryCheck.check(descriptor, capacityBytes: capacityBytes)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        var code: CInt = 0
        guard let page = clinux_memory_map(descriptor, 0, DonorMemoryLayout.controlBytes, 0, &code) else {
            Glibc.close(descriptor)
            throw ShmArenaError("cannot map a donor's control page", code: code)
        }
        self.capacityBytes = capacityBytes
        self.descriptor = descriptor
        control = page
        words = (page + DonorMemoryLayout.endedOffset).assumingMemoryBound(to: Atomic<UInt64>.self)
        completions = .allocate(capacity: Self.depth)
    }

    deinit {
        completions.deallocate()
        munmap(control, DonorMemoryLayout.controlBytes)
        Glibc.close(descriptor)
    }

    public var depth: Int { Self.depth }
    public var isOver: Bool { isClosed || words.pointee.load(ordering: .relaxed) != 0 }

    public mutating func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try admit(offset: offset, count: buffer.count)
        var done = 0
        while done < buffer.count {
            let count = pread(
                descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, place(offset + done))
            guard let more = taken(count) else { break }
            done += more
        }
        complete(token, isWhole: done == buffer.count)
    }

    public mutating func write(
        from buffer: UnsafeRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try admit(offset: offset, count: buffer.count)
        var done = 0
        while done < buffer.count {
            let count = pwrite(
                descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, place(offset + done))
            guard let more = taken(count) else { break }
            done += more
        }
        complete(token, isWhole: done == buffer.count)
    }

    public mutating func poll() -> MemoryCompletion? {
        guard inFlight > 0 else { return nil }
        let completion = completions[first]
        first = (first + 1) % Self.depth
        inFlight -= 1
        return completion
    }

    public mutating func beginSleep(_ descriptors: inout [Int32]) -> Bool { inFlight == 0 }
    public mutating func close() { isClosed = true }

    private func admit(offset: Int, count: Int) throws(TransportError) {
        try check(offset: offset, count: count)
        guard inFlight < Self.depth else { throw .ringFull }
        guard !isOver else { throw .peerLost }
    }

    private func place(_ offset: Int) -> off_t { off_t(DonorMemoryLayout.controlBytes + offset) }

    /// Bytes that a call moved; nil when it moved none for good.
    private func taken(_ count: Int) -> Int? { count > 0 ? count : count < 0 && errno == EINTR ? 0 : nil }

    private mutating func complete(_ token: UInt64, isWhole: Bool) {
        // What was read or written comes before this look: the words change before the first page goes.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let isGood = isWhole && words.pointee.load(ordering: .relaxed) == 0
        completions[(first + inFlight) % Self.depth] = MemoryCompletion(token: token, error: isGood ? nil : .peerLost)
        inFlight += 1
    }
}
