internal import CLinux
internal import Glibc

/// The memory of one memory lease: a memory file with a control page in front and the borrower's bytes behind it.
///
///     0        magic, version, capacity
///     128      ended, reclaimed: as in an arena
///     4096     the borrower's bytes
///
/// The agent makes it and passes copies of the descriptor to the donor, which has the pages allocated in its own cgroup, and
/// to a borrower on the same node, which reads and writes by pread and pwrite and maps the control page alone.
///
/// **How the memory is taken back.** Unlike an arena it is cut: nobody maps the bytes who has not been told that they may
/// vanish, and a cut file cannot be written any more, for it is sealed against growing: pread is short, pwrite is refused, a
/// mapping of the bytes faults. So it is the kernel, not the borrower's good will, that ends access, and what is verified
/// after the cut stays true. The control page remains, and says why. The file's size is not sealed against shrinking, so a
/// borrower may cut its own lease short; therefore whoever takes it back writes the words by pwrite and maps nothing.
public final class DonorFile: Sendable {
    static let magic: UInt64 = 0x3130_6d65_6d6c_6c66  // "fllmem01"
    static let version: UInt32 = 1
    /// Where the borrower's bytes begin.
    public static let dataOffset = LeaseWords.controlPageBytes
    /// The most that one donor lends.
    public static let largestCapacityBytes = 1 << 40

    /// Bytes that the borrower can use.
    public let capacityBytes: Int
    /// To be passed on; stays this object's, who closes it.
    public let descriptor: CInt

    private init(descriptor: CInt, capacityBytes: Int) {
        self.descriptor = descriptor
        self.capacityBytes = capacityBytes
    }

    deinit { close(descriptor) }

    /// Makes a new, empty file: nothing of it is allocated but the control page. For the agent; never blocks.
    /// - Parameter capacityBytes: a multiple of the page, above 0.
    public static func create(capacityBytes: Int) throws(ShmArenaError) -> DonorFile {
        if let complaint = complaint(about: capacityBytes) { throw ShmArenaError(complaint) }
        let descriptor = clinux_donor_create("fallow-donor", Int64(dataOffset + capacityBytes))
        if descriptor < 0 {
            throw ShmArenaError("cannot make a memory file of \(capacityBytes) bytes", code: -descriptor)
        }
        let file = DonorFile(descriptor: descriptor, capacityBytes: capacityBytes)
        try file.write(DonorHeader(capacityBytes: UInt64(capacityBytes)), at: 0)
        return file
    }

    /// Takes over a descriptor that was received, after checking that it is what was said of it; closes it when it is not.
    /// - Throws: `ShmArenaError` when it is no memory file sealed against growing, or its size, version or capacity differ.
    public static func adopt(_ descriptor: CInt, expecting capacityBytes: Int) throws(ShmArenaError) -> DonorFile {
        let file = DonorFile(descriptor: descriptor, capacityBytes: capacityBytes)
        if let complaint = complaint(about: capacityBytes) { throw ShmArenaError(complaint) }
        guard clinux_donor_is_sealed(descriptor) == 1 else {
            throw ShmArenaError("the descriptor is not a memory file that is sealed against growing")
        }
        guard file.byteCount == dataOffset + capacityBytes else {
            throw ShmArenaError(
                "the donor's file has \(file.byteCount) bytes where \(dataOffset + capacityBytes) were agreed")
        }
        var header = DonorHeader(capacityBytes: 0)
        let count = withUnsafeMutableBytes(of: &header) { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == MemoryLayout<DonorHeader>.size, header == DonorHeader(capacityBytes: UInt64(capacityBytes)) else {
            throw ShmArenaError("the memory file is no donor's of this version and size")
        }
        return file
    }

    private static func complaint(about capacityBytes: Int) -> String? {
        guard capacityBytes > 0, capacityBytes <= largestCapacityBytes, capacityBytes % 4096 == 0 else {
            return "a donor lends whole pages of 4 KiB, up to 1 TiB, not \(capacityBytes) bytes"
        }
        return nil
    }

    /// Says that the lease is over. The first reason stays, unless two write it at one time. Never blocks; a file that its
    /// borrower cut below the control page is over as it is.
    /// - Parameter reason: a number that tells the borrower why; 0 counts as 1.
    public func markEnded(_ reason: UInt32) {
        var known: UInt32 = 0
        _ = pread(descriptor, &known, 4, off_t(LeaseWords.endedOffset))
        if known == 0 { try? write(max(reason, 1), at: LeaseWords.endedOffset) }
    }

    /// Frees the borrower's bytes, whoever still maps them or holds a descriptor: after this nobody can read or write them,
    /// and the file can hold nothing but its control page.
    ///
    /// For the agent, after the donor is dead, and for a donor whose agent is gone. Marks the lease ended when nobody did.
    /// Blocks for about 0.1 s a GiB of small pages in use.
    /// - Throws: when the kernel refuses, or memory stays allocated.
    public func reclaim() throws(ShmArenaError) {
        markEnded(1)
        try? write(UInt32(1), at: LeaseWords.reclaimedOffset)
        while byteCount > Self.dataOffset, ftruncate(descriptor, off_t(Self.dataOffset)) != 0 {
            guard errno == EINTR else {
                throw ShmArenaError("cannot take a donor's \(capacityBytes) bytes back", code: errno)
            }
        }
        guard byteCount <= Self.dataOffset, residentBytes <= Self.dataOffset else {
            throw ShmArenaError("\(residentBytes) bytes of a donor are still allocated after they were taken back")
        }
    }

    /// Bytes of memory that the file holds just now, as the kernel counts them.
    public var residentBytes: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }

    var byteCount: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    private func write<Value>(_ value: Value, at offset: Int) throws(ShmArenaError) {
        let count = withUnsafeBytes(of: value) { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
        if count != MemoryLayout<Value>.size { throw ShmArenaError("a donor's file cannot be written", code: errno) }
    }
}

/// The first bytes of a donor's file.
struct DonorHeader: Equatable {
    var magic = DonorFile.magic
    var version = DonorFile.version
    var reserved: UInt32 = 0
    var capacityBytes: UInt64
}
