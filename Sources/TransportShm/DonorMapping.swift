internal import CLinux
internal import Glibc

/// The memory that one donor lends, as the donor has it: mapped, so that its pages can be charged to its cgroup and be
/// registered with a network.
public final class DonorMapping: Sendable {
    /// What is lent; begins at a page, not at a huge one (the control page lies in front).
    public nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer
    private let totalBytes: Int
    private let descriptor: CInt

    /// Maps a memory file that was received. Takes the descriptor over, also when this throws. A forked child does not have
    /// the mapping.
    /// - Throws: `ShmArenaError` when the file may grow, or is not the donor's of this capacity.
    public init(adopting descriptor: CInt, capacityBytes: Int) throws(ShmArenaError) {
        do {
            try DonorMemoryCheck.check(descriptor, capacityBytes: capacityBytes)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        totalBytes = DonorMemoryLayout.totalBytes(capacityBytes: capacityBytes)
        var code: CInt = 0
        guard let address = clinux_memory_map(descriptor, 0, totalBytes, 0, &code) else {
            Glibc.close(descriptor)
            throw ShmArenaError("cannot map a donor's \(capacityBytes) bytes", code: code)
        }
        _ = clinux_arena_skip_in_core_dumps(address, UInt64(totalBytes))
        self.descriptor = descriptor
        base = address
        memory = UnsafeMutableRawBufferPointer(
            start: address + DonorMemoryLayout.controlBytes, count: capacityBytes)
    }

    deinit {
        munmap(base, totalBytes)
        Glibc.close(descriptor)
    }

    /// Has pages allocated now, charged to this process's cgroup; what lies in them stays. Blocks: about 0.3 s a GiB, less
    /// with huge pages. Beyond the cgroup's limit the kernel ends the process.
    /// - Parameter range: bytes of the memory; nil: all of it.
    public func prefault(_ range: Range<Int>? = nil) throws(ShmArenaError) {
        let page = DonorMemoryLayout.controlBytes
        let asked = (range ?? 0..<memory.count).clamped(to: 0..<memory.count)
        let start = asked.lowerBound & ~(page - 1)
        guard asked.upperBound > start, let first = memory.baseAddress else { return }
        let code = clinux_arena_populate(first + start, UInt64(asked.upperBound - start))
        if code != 0 { throw ShmArenaError("cannot allocate \(asked.count) bytes of a donor's memory", code: code) }
    }
}

/// What is looked at before a donor's memory file is used.
enum DonorMemoryCheck {
    static func check(_ descriptor: CInt, capacityBytes: Int) throws(ShmArenaError) {
        if let complaint = DonorMemoryLayout.complaint(capacityBytes: capacityBytes) { throw ShmArenaError(complaint) }
        guard clinux_memfd_is_growth_sealed(descriptor) == 1 else {
            throw ShmArenaError("the descriptor is not a memory file that is sealed against growing")
        }
        let total = DonorMemoryLayout.totalBytes(capacityBytes: capacityBytes)
        let bytes = clinux_memfd_size(descriptor)
        guard bytes == Int64(total) else {
            throw ShmArenaError("the donor's memory file has \(bytes) bytes where \(total) were agreed")
        }
        var header = DonorMemoryHeader(capacityBytes: 0)
        let count = withUnsafeMutableBytes(of: &header) { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == MemoryLayout<DonorMemoryHeader>.size,
            header == DonorMemoryHeader(capacityBytes: capacityBytes)
        else { throw ShmArenaError("the memory file is no donor's of \(capacityBytes) bytes: its header differs") }
    }
}
