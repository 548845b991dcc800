internal import Glibc

/// A moment on the monotonic clock by which something has to be over.
public struct MonotonicDeadline: Sendable {
    public let nanoseconds: UInt64

    /// Answered without entering the kernel (vDSO).
    public static func nowNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
    public init(in nanosecondsFromNow: Int64) {
        nanoseconds = Self.nowNanoseconds() + UInt64(max(nanosecondsFromNow, 0))
    }

    public var hasPassed: Bool { Self.nowNanoseconds() >= nanoseconds }
    /// Rounded up, at most a day.
    public var millisecondsLeft: CInt {
        let now = Self.nowNanoseconds()
        return now >= nanoseconds ? 0 : CInt(min((nanoseconds - now + 999_999) / 1_000_000, 86_400_000))
    }
}
