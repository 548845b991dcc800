internal import FallowWire
internal import Glibc
internal import Synchronization
internal import TransportShm

/// The memory for buffers of one lease, and which parts of it are given out. Thread-safe.
///
/// Over shared memory it lies in the arena, where the functions reach it; else it is this process's own, and calls through
/// buffers are copied. Buffers begin at whole pages, first fit. One that is freed while a call uses it is given out again
/// only when that call is over.
final class BufferArea: @unchecked Sendable {
    static let pageBytes = 4096
    static let capacity = 4096

    private struct Entry {
        var offset: Int
        /// As asked for; the pages are its alone.
        var byteCount: Int
        /// Calls that use it.
        var uses = 0
        var isFreed = false
        var pageEnd: Int { offset + (max(byteCount, 1) + BufferArea.pageBytes - 1) & ~(BufferArea.pageBytes - 1) }
    }

    /// The whole of it.
    let memory: UnsafeMutableRawBufferPointer
    /// Whether functions reach it.
    let isShared: Bool
    private let arena: ShmArena?
    /// By their offsets.
    private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: BufferArea.capacity)
    private let count = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    private let lock = TurnLock()

    /// Buffers in an arena, which stays mapped as long as this object lives.
    init(arena: ShmArena) {
        self.arena = arena
        memory = arena.buffers
        isShared = true
        count.initialize(to: 0)
    }

    /// Buffers in memory of this process, for leases over a network.
    init(byteCount: Int) throws(FallowError) {
        arena = nil
        isShared = false
        count.initialize(to: 0)
        guard byteCount > 0 else {
            memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            return
        }
        let mapping = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let mapping, mapping != MAP_FAILED else {
            throw FallowError(.internalError, "cannot map \(byteCount) bytes for buffers")
        }
        memory = UnsafeMutableRawBufferPointer(start: mapping, count: byteCount)
    }

    deinit {
        if arena == nil, let start = memory.baseAddress { munmap(start, memory.count) }
        entries.deallocate()
        count.deallocate()
    }

    /// Whether what was read from the buffers until now was what lay there, and not the zeros of memory taken back.
    var isIntact: Bool { arena?.isReclaimed != true }

    /// Gives a buffer out.
    /// - Throws: `.tooLarge` when no gap is that large; `.invalid` for a size of less than one byte.
    func allocate(_ byteCount: Int) throws(FallowError) -> UnsafeMutableRawBufferPointer {
        guard byteCount > 0 else { throw FallowError(.invalid, "a buffer has at least one byte, not \(byteCount)") }
        let offset = byteCount > memory.count ? nil : locked { place(byteCount) }
        guard let offset, let start = memory.baseAddress else {
            throw FallowError(
                .tooLarge,
                memory.count == 0
                    ? "this lease has no memory for buffers: ask for it when leasing"
                    : "no \(byteCount) bytes in one piece are free of the lease's \(memory.count) bytes for buffers")
        }
        return UnsafeMutableRawBufferPointer(start: start + offset, count: byteCount)
    }

    /// Takes a buffer back.
    /// - Returns: false when no buffer begins there.
    func free(_ start: UnsafeRawPointer) -> Bool {
        guard let offset = offset(of: start) else { return false }
        return locked {
            guard let index = index(containing: offset), entries[index].offset == offset, !entries[index].isFreed else {
                return false
            }
            entries[index].isFreed = true
            drop(index)
            return true
        }
    }

    /// Where input and output lie, counted as in use until `endUse`.
    /// - Throws: `.invalid` when one of them is not within one buffer of this lease.
    func use(
        input: UnsafeRawBufferPointer, output: UnsafeMutableRawBufferPointer
    ) throws(FallowError) -> BufferPlaces {
        var places = BufferPlaces(isInPlace: isShared)
        let fault: StaticString? = locked {
            var reader: Int?
            if input.count > 0 {
                reader = index(of: input)
                guard reader != nil, let offset = offset(of: input.baseAddress) else { return "input" }
                places.inputOffset = UInt64(offset)
                places.placement.insert(.input)
            }
            var writer: Int?
            if output.count > 0 {
                writer = index(of: UnsafeRawBufferPointer(output))
                guard writer != nil, let offset = offset(of: UnsafeRawPointer(output.baseAddress)) else {
                    return "output"
                }
                places.outputOffset = UInt64(offset)
                places.placement.insert(.output)
            }
            if let reader { entries[reader].uses += 1 }
            if let writer { entries[writer].uses += 1 }
            return nil
        }
        if let fault {
            throw FallowError(
                .invalid,
                "\(fault) is not within one buffer of this lease (another lease's, freed, or no buffer at all)")
        }
        return places
    }

    /// The call that used these is over.
    func endUse(_ places: BufferPlaces) {
        locked {
            if places.placement.contains(.input) { leave(Int(places.inputOffset)) }
            if places.placement.contains(.output) { leave(Int(places.outputOffset)) }
        }
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        lock.lock()
        defer { lock.unlock() }
        return body()
    }

    private func offset(of address: UnsafeRawPointer?) -> Int? {
        guard let address, let start = memory.baseAddress else { return nil }
        let offset = Int(bitPattern: address) &- Int(bitPattern: start)
        return (0..<memory.count).contains(offset) ? offset : nil
    }

    // With the lock held.

    /// First fit.
    private func place(_ byteCount: Int) -> Int? {
        guard count.pointee < Self.capacity else { return nil }
        var offset = 0
        var index = 0
        while index < count.pointee, entries[index].offset - offset < byteCount {
            offset = entries[index].pageEnd
            index += 1
        }
        guard memory.count - offset >= byteCount else { return nil }
        if index < count.pointee {
            (entries + index + 1).moveUpdate(from: entries + index, count: count.pointee - index)
        }
        (entries + index).initialize(to: Entry(offset: offset, byteCount: byteCount))
        count.pointee += 1
        return offset
    }

    /// The buffer on whose pages an offset lies.
    private func index(containing offset: Int) -> Int? {
        var low = 0
        var high = count.pointee
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].pageEnd <= offset { low = middle + 1 } else { high = middle }
        }
        return low < count.pointee && entries[low].offset <= offset ? low : nil
    }

    private func index(of bytes: UnsafeRawBufferPointer) -> Int? {
        guard let offset = offset(of: bytes.baseAddress), let index = index(containing: offset),
            !entries[index].isFreed, bytes.count <= entries[index].byteCount - (offset - entries[index].offset)
        else { return nil }
        return index
    }

    private func leave(_ offset: Int) {
        guard let index = index(containing: offset) else { return }
        entries[index].uses -= 1
        drop(index)
    }

    private func drop(_ index: Int) {
        guard entries[index].isFreed, entries[index].uses == 0 else { return }
        (entries + index).moveUpdate(from: entries + index + 1, count: count.pointee - index - 1)
        count.pointee -= 1
    }
}
