internal import FallowControl
internal import FallowLocal
internal import FallowModel
internal import FallowWire
internal import Glibc
internal import TransportShm

/// How donors' memory comes back: several at a time, beside the event loop. Safe from any thread.
///
/// The kernel frees a GiB of small pages in tenths of a second, which a step that starts need not wait for: what a headroom
/// is kept for. Until a donor's pages are gone, and were seen to be gone, nobody else is lent that memory.
struct DonorReturn: Sendable {
    /// What became of one donor's memory.
    struct Outcome: Sendable {
        var microseconds: Int
        var bytes: Int
        /// Why it is not back; nil: it is.
        var complaint: String?
    }

    /// Freeing is the kernel's work alone, and each donor's file has its own lock.
    static let atOnce = 4
    private let pool = BlockingPool(name: "fallow.donors", threads: atOnce, limit: 65_536)

    /// Frees a donor's memory and looks whether it is free.
    /// - Parameter then: called on the loop, once.
    func take(_ memory: DonorMemory, on loop: EventLoop, then: @escaping (Outcome) -> Void) {
        let pool = pool
        let door = LoopDoor(loop, then)
        Task {
            let outcome: Outcome
            do {
                outcome = try await pool.run(timeout: .seconds(60), "taking a donor's memory back") {
                    try Self.free(memory)
                }
            } catch { outcome = Outcome(microseconds: 0, bytes: 0, complaint: "\(error)") }
            door.tell { $0(outcome) }
        }
    }

    private static func free(_ memory: DonorMemory) throws -> Outcome {
        let bytes = memory.residentBytes
        let began = ContinuousClock.now
        try memory.reclaim()
        let microseconds = Int((ContinuousClock.now - began).nanoseconds / 1000)
        let left = memory.residentBytes
        return Outcome(
            microseconds: microseconds, bytes: bytes,
            complaint: left > DonorMemoryLayout.controlBytes ? "\(left) bytes of it are still there" : nil)
    }
}
