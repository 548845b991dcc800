internal import CLinux
internal import Glibc

extension DonorMapping {
    /// Asks for huge pages before any page is there. Where the kernel gives none to shared memory, small ones come.
    /// - Returns: whether the kernel takes the wish.
    @discardableResult
    public func askForHugePages() -> Bool {
        clinux_arena_huge_pages(memory.baseAddress, UInt64(memory.count)) == 0
    }
}
