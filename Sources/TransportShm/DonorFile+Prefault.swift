internal import CLinux
internal import Glibc

extension DonorFile {
    /// How much is allocated between two looks at whether to stop.
    static let prefaultStepBytes = 16 << 20

    /// Has every page of the borrower's bytes allocated now, charged to this process's cgroup. For the donor.
    ///
    /// Maps the bytes meanwhile, and nothing afterwards: page tables would take memory and, at the process's end, time.
    /// Blocks for about 0.3 s a GiB of small pages.
    /// - Parameters:
    ///   - hugePages: ask for huge pages; where the kernel gives none to shared memory, small ones come.
    ///   - shouldStop: asked every few milliseconds.
    /// - Returns: false when it was stopped.
    /// - Throws: when the kernel gives no more memory, or the file was cut meanwhile.
    public func prefault(hugePages: Bool, shouldStop: () -> Bool) throws(ShmArenaError) -> Bool {
        guard byteCount == Self.dataOffset + capacityBytes else {
            throw ShmArenaError("the donor's file was cut before its memory was allocated")
        }
        let mapping = mmap(
            nil, capacityBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, off_t(Self.dataOffset))
        guard let mapping, mapping != MAP_FAILED else {
            throw ShmArenaError("cannot map a donor's \(capacityBytes) bytes", code: errno)
        }
        defer { munmap(mapping, capacityBytes) }
        if hugePages { _ = clinux_arena_huge_pages(mapping, UInt64(capacityBytes)) }
        for offset in stride(from: 0, to: capacityBytes, by: Self.prefaultStepBytes) {
            if shouldStop() { return false }
            let code = clinux_arena_populate(
                mapping + offset, UInt64(min(Self.prefaultStepBytes, capacityBytes - offset)))
            if code != 0 { throw ShmArenaError("cannot allocate a donor's \(capacityBytes) bytes", code: code) }
        }
        return true
    }
}
