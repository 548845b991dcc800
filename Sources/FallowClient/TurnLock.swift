internal import CLinux
internal import Synchronization

/// A lock for parts of microseconds. Whoever holds it sees whether somebody waits for it, and can make way.
///
/// Free it costs one atomic exchange to take and one to give back. It is not fair; its holders are brief.
struct TurnLock: ~Copyable {
    private static let free: UInt32 = 0
    private static let held: UInt32 = 1
    /// Held, and a thread sleeps until it is free.
    private static let wanted: UInt32 = 2

    private let word = Atomic<UInt32>(TurnLock.free)

    var isWanted: Bool { word.load(ordering: .relaxed) == Self.wanted }

    @inline(__always) func tryLock() -> Bool {
        word.compareExchange(expected: Self.free, desired: Self.held, ordering: .acquiring).exchanged
    }

    @inline(__always) func lock() { if !tryLock() { lockSlowly() } }

    @inline(__always) func unlock() {
        if word.exchange(Self.free, ordering: .releasing) == Self.wanted { wakeOne() }
    }

    private func lockSlowly() {
        for _ in 0..<32 {
            clinux_pause()
            if word.load(ordering: .relaxed) == Self.free, tryLock() { return }
        }
        while word.exchange(Self.wanted, ordering: .acquiring) != Self.free {
            withUnsafePointer(to: word) { _ = clinux_futex_wait($0, Self.wanted, 1_000_000_000) }
        }
    }

    private func wakeOne() { withUnsafePointer(to: word) { _ = clinux_futex_wake($0, 1) } }
}
