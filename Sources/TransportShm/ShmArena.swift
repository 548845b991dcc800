internal import CLinux
public import FallowTransport
internal import Glibc
internal import Synchronization

/// Why an arena cannot be made, adopted or reclaimed.
public struct ShmArenaError: Error, CustomStringConvertible, Sendable {
    /// The errno behind it; 0 when the arena itself is what is wrong.
    public let code: CInt
    /// One sentence: what was wrong, and what would be right.
    public let description: String

    init(_ description: String, code: CInt = 0) {
        self.code = code
        self.description = code == 0 ? description : "\(description): \(String(cString: strerror(code)))"
    }
}

/// The memory of one lease: a memory file with a control page and slots for every worker, mapped into this process.
///
/// The agent creates it and passes copies of the descriptor to the client and the executor, who adopt it. Either of
/// them may be hostile: sizes are checked once, at adoption, against what the agent said over its socket, and nothing
/// in the memory is trusted afterwards.
///
/// **How the memory is taken back.** Not by `ftruncate`: that gives every surviving mapping SIGBUS, and a library has
/// no business installing a signal handler in its user's program. The file's size is sealed in both directions
/// instead, so that nobody, neither a peer nor the agent, can ever make a mapped access fault; on revoke the agent
/// marks the lease ended and then punches all slots out of the file (`reclaim`). That frees the pages at once even
/// while a peer maps them, and whoever touches them later gets fresh zero pages charged to its own cgroup. A reader
/// cannot take those zeros for data: it asks `confirmRead` after copying, which sees the ended word that was
/// stored before the first page went. The control page stays, until the last descriptor and mapping are gone.
public final class ShmArena: Sendable {
    /// The shape of each worker's slots.
    public let geometry: ArenaGeometry
    /// How many workers the arena serves.
    public let workers: Int
    /// The memory file, to be passed on; stays the arena's, who closes it.
    public let descriptor: CInt

    let layout: ShmLayout
    nonisolated(unsafe) let base: UnsafeMutableRawPointer

    /// Bytes of the memory file; sparse, so nothing of it is used before it is touched.
    public static func byteCount(geometry: ArenaGeometry, workers: Int) -> Int {
        ShmLayout(geometry: geometry, workers: workers).totalBytes
    }

    /// Makes a new, empty arena. For the agent; never blocks.
    /// - Throws: `ShmArenaError` when the shape is out of bounds or the system refuses the memory file.
    public static func create(geometry: ArenaGeometry, workers: Int) throws(ShmArenaError) -> ShmArena {
        let layout = ShmLayout(geometry: geometry, workers: workers)
        if let complaint = layout.complaint { throw ShmArenaError(complaint) }
        let descriptor = clinux_arena_create("fallow-arena", Int64(layout.totalBytes))
        if descriptor < 0 {
            throw ShmArenaError("cannot make a memory file of \(layout.totalBytes) bytes", code: -descriptor)
        }
        let arena = try ShmArena(mapping: descriptor, layout)
        arena.base.storeBytes(of: ShmArenaHeader(layout), as: ShmArenaHeader.self)
        return arena
    }

    /// Maps an arena that was received, after checking that it is what the agent said it would be.
    ///
    /// Takes the descriptor over and closes it in the end, also when this throws. A process must not hold other
    /// descriptors of the same memory file: closing one would drop the locks that show the peer this process is alive.
    /// - Throws: `ShmArenaError` when the file is not sealed, or its size, version or shape differ.
    public convenience init(
        adopting descriptor: CInt, expecting geometry: ArenaGeometry, workers: Int
    ) throws(ShmArenaError) {
        let layout = ShmLayout(geometry: geometry, workers: workers)
        do {
            try Self.check(descriptor, layout)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        try self.init(mapping: descriptor, layout)
        // Copied once; only the copy is looked at. On a mismatch, deinit cleans up.
        let header = base.load(as: ShmArenaHeader.self)
        if header.magic != ShmLayout.magic {
            throw ShmArenaError("the memory file is no Fallow arena: its first eight bytes are not the magic")
        }
        if header.version != ShmLayout.version {
            throw ShmArenaError(
                "the arena has version \(header.version), this program speaks version \(ShmLayout.version)")
        }
        if header != ShmArenaHeader(layout) {
            throw ShmArenaError("the arena's shape is not the one that was agreed: \(geometry), \(workers) workers")
        }
    }

    private static func check(_ descriptor: CInt, _ layout: ShmLayout) throws(ShmArenaError) {
        if let complaint = layout.complaint { throw ShmArenaError(complaint) }
        guard clinux_arena_is_sealed(descriptor) == 1 else {
            throw ShmArenaError("the descriptor is not a memory file whose size is sealed")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw ShmArenaError("cannot examine the arena", code: errno) }
        guard status.st_size == layout.totalBytes else {
            throw ShmArenaError("the arena has \(status.st_size) bytes where \(layout.totalBytes) were agreed")
        }
    }

    private init(mapping descriptor: CInt, _ layout: ShmLayout) throws(ShmArenaError) {
        let mapping = mmap(
            nil, layout.totalBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0)
        guard let mapping, mapping != MAP_FAILED else {
            let code = errno
            Glibc.close(descriptor)
            throw ShmArenaError("cannot map an arena of \(layout.totalBytes) bytes", code: code)
        }
        _ = clinux_arena_skip_in_core_dumps(mapping, UInt64(layout.totalBytes))
        self.geometry = layout.geometry
        self.workers = layout.workers
        self.descriptor = descriptor
        self.layout = layout
        base = mapping
    }

    deinit {
        munmap(base, layout.totalBytes)
        Glibc.close(descriptor)
    }

    /// The memory for buffers, zeros at first. It stays mapped as long as this object lives; what lies there is gone once
    /// `isReclaimed`.
    public var buffers: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + layout.buffersOffset, count: geometry.bufferBytes)
    }

    /// Has the first 8 KiB of each of a worker's slots allocated now, charged to this process's cgroup. For the executor.
    ///
    /// The rest is allocated when a payload first reaches it, and charged to who writes it: whatever is mapped must be
    /// unmapped before a killed executor's core is free. Blocks for some microseconds a slot.
    public func prefault(worker: Int) throws(ShmArenaError) {
        precondition((0..<workers).contains(worker), "no such worker")
        for (first, stride) in [
            (layout.inputOffset(worker: worker), geometry.inputStrideBytes),
            (layout.outputOffset(worker: worker), geometry.outputStrideBytes),
        ] {
            for slot in 0..<geometry.slotCount {
                // Slots begin at any KiB, the kernel allocates whole pages.
                let start = (first + slot * stride) & ~(ShmLayout.pageBytes - 1)
                let end = min(first + slot * stride + min(stride, 8192), layout.totalBytes)
                let code = clinux_arena_populate(base + start, UInt64(end - start))
                if code != 0 { throw ShmArenaError("cannot allocate \(end - start) bytes of a slot", code: code) }
            }
        }
    }
}
