internal import CLinux
internal import Glibc

/// Connections and arenas do not survive `fork` in the child: two processes would answer for one ring. The child is
/// told so.
package enum ForkGuard {
    private nonisolated(unsafe) static let mark = clinux_fork_mark()

    /// Makes the mark; to be called before anything that a child could inherit exists.
    package static func arm() { _ = mark }

    /// Throws `.invalid` in a child forked after `arm`. One load, no system call.
    package static func check() throws(FallowError) {
        guard let mark, mark.pointee != 1 else { return }
        throw FallowError(
            .invalid,
            "this process was forked from the one that connected: fork before connecting, or connect again after exec")
    }
}

/// The monotonic clock as of the kernel's last tick, some milliseconds ago at most; reads memory alone.
@inline(__always)
func coarseNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
}

/// Reads the monotonic clock; answered without entering the kernel (vDSO).
func monotonicNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
}
