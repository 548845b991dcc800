internal import FallowTransport
internal import FallowWire
internal import Synchronization

/// Which end of a connection an endpoint is.
public enum ShmSide: Int, Sendable {
    case client = 0
    case executor = 1

    @usableFromInline var other: ShmSide { self == .client ? .executor : .client }
}

/// Where things lie in an arena's memory file.
///
///     0        magic, version, workers, geometry
///     128      ended: 0, or why the lease ended
///     132      reclaimed: 0, or 1 once the slots' memory may have been emptied
///     4096     a line pair (128 bytes) for each worker's client and executor: sleeping, closed, token
///     control  for each worker: input slots, then output slots
///     behind   the memory for buffers
///
/// A slot's first 64 bytes are its header; the last eight of them are the doorbell, so that one cache line carries
/// header and doorbell. The doorbell of message n is 2^32 + n: never zero, so fresh or reclaimed memory rings nothing.
struct ShmLayout: Sendable {
    static let magic: UInt64 = 0x3130_6d68_736c_6c66  // "fllshm01"
    static let version: UInt32 = 2
    static let pageBytes = 4096
    static let endedOffset = 128
    static let reclaimedOffset = 132
    static let linePairBytes = 128
    static let largestWorkerCount = 1024
    static let largestArenaBytes = 1 << 40

    let geometry: ArenaGeometry
    let workers: Int

    /// Bytes of everything before the slots.
    var controlBytes: Int { Self.pageBytes + Self.wholePages(workers * 2 * Self.linePairBytes) }
    /// Bytes of one worker's slots, both directions.
    var workerBytes: Int {
        Self.wholePages(geometry.slotCount * (geometry.inputStrideBytes + geometry.outputStrideBytes))
    }
    var totalBytes: Int { buffersOffset + Self.wholePages(geometry.bufferBytes) }
    var buffersOffset: Int { controlBytes + workers * workerBytes }

    /// What is wrong with the shape, in one sentence; nil when nothing is.
    var complaint: String? {
        if let complaint = geometry.complaint { return complaint }
        if !(1...Self.largestWorkerCount).contains(workers) {
            return "an arena has 1 to \(Self.largestWorkerCount) workers, not \(workers)"
        }
        if totalBytes > Self.largestArenaBytes {
            return "an arena of \(totalBytes) bytes is too large: slots, sizes and workers must stay under 1 TiB in all"
        }
        return nil
    }

    func lineOffset(worker: Int, side: ShmSide) -> Int {
        Self.pageBytes + (worker * 2 + side.rawValue) * Self.linePairBytes
    }
    func inputOffset(worker: Int) -> Int { controlBytes + worker * workerBytes }
    func outputOffset(worker: Int) -> Int {
        inputOffset(worker: worker) + geometry.slotCount * geometry.inputStrideBytes
    }

    private static func wholePages(_ bytes: Int) -> Int { (bytes + pageBytes - 1) & ~(pageBytes - 1) }
}

/// The first bytes of an arena, written once by its owner and compared once by whoever adopts it.
struct ShmArenaHeader: Equatable {
    var magic = ShmLayout.magic
    var version = ShmLayout.version
    var workers: UInt32
    var slotCount: UInt64
    var inputBytes: UInt64
    var outputBytes: UInt64
    var bufferBytes: UInt64

    init(_ layout: ShmLayout) {
        workers = UInt32(layout.workers)
        slotCount = UInt64(layout.geometry.slotCount)
        inputBytes = UInt64(layout.geometry.inputBytes)
        outputBytes = UInt64(layout.geometry.outputBytes)
        bufferBytes = UInt64(layout.geometry.bufferBytes)
    }
}

/// One side's words in the control page: where it says that it sleeps, that it closed, and that it is there.
struct ShmLine {
    let address: UnsafeMutableRawPointer

    /// 1 while the side sleeps; whoever wakes it stores 0. The futex word.
    var sleeping: UnsafeMutablePointer<Atomic<UInt32>> { address.assumingMemoryBound(to: Atomic<UInt32>.self) }
    /// 1 once the side has closed.
    var closed: UnsafeMutablePointer<Atomic<UInt32>> { (address + 4).assumingMemoryBound(to: Atomic<UInt32>.self) }
    /// 0 until the side has attached; then a number that is random for each process.
    var token: UnsafeMutablePointer<Atomic<UInt64>> { (address + 8).assumingMemoryBound(to: Atomic<UInt64>.self) }
}
