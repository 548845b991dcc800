/// Where things lie in the memory file of one donor: a control page in front, and behind it what is lent.
///
///     0        magic, version, capacity in bytes
///     128      ended: 0, or why the lease ended
///     132      reclaimed: 0, or 1 before the first byte of the memory is taken away
///     4096     the memory: byte n of it is byte 4096 + n of the file
///
/// Both words go from zero to nonzero, once. Who has read or written the memory looks at them *afterwards*: only while both
/// are zero has the access been one of the lease.
public enum DonorMemoryLayout {
    /// Bytes of the control page; the memory begins behind it.
    public static let controlBytes = 4096
    /// Where the word is that says that the lease is over, 32 bits.
    public static let endedOffset = 128
    /// Where the word is that says that the memory may be gone, 32 bits.
    public static let reclaimedOffset = 132
    /// The largest donor; a lease of more memory is many donors.
    public static let largestCapacityBytes = 1 << 40

    static let magic: UInt64 = 0x3130_6d65_6d6c_6c66  // "fllmem01"
    static let version: UInt32 = 1

    /// Bytes of the whole file.
    public static func totalBytes(capacityBytes: Int) -> Int { controlBytes + capacityBytes }

    /// What is wrong with a capacity, in one sentence; nil when nothing is.
    public static func complaint(capacityBytes: Int) -> String? {
        if capacityBytes <= 0 || capacityBytes > largestCapacityBytes || capacityBytes % controlBytes != 0 {
            return "a donor lends whole pages of \(controlBytes) bytes, up to 1 TiB, not \(capacityBytes) bytes"
        }
        return nil
    }
}

/// The first bytes of a donor's memory file, written once by its owner and compared once by whoever adopts it.
struct DonorMemoryHeader: Equatable {
    var magic = DonorMemoryLayout.magic
    var version = DonorMemoryLayout.version
    var reserved: UInt32 = 0
    var capacityBytes: UInt64

    init(capacityBytes: Int) { self.capacityBytes = UInt64(capacityBytes) }
}
