internal import Glibc

/// How each side shows the other that its process is alive: a POSIX record lock on a byte beyond the file's end.
///
/// The kernel drops the lock when the process dies, however it dies, and a forked child does not inherit it; so no
/// peer needs to know the other's process id, which means nothing across PID namespaces. Looking costs one system call
/// and is done a few dozen times a second at most, never per message. (The agent's `markEnded` is usually earlier.)
struct ShmPresence: Sendable {
    /// Random for each process: two sides in one process cannot watch each other by locks, and need not.
    static let processToken = UInt64.random(in: 1 ... .max)
    /// How often a waiting side looks.
    static let intervalNanoseconds: UInt64 = 20_000_000
    private static let firstLockedByte = off_t(1) << 41

    let descriptor: CInt
    let worker: Int

    /// - Returns: false when another process holds the side.
    func claim(_ side: ShmSide) -> Bool {
        var lock = record(side, F_WRLCK)
        return fcntl(descriptor, F_SETLK, &lock) == 0
    }

    func release(_ side: ShmSide) {
        var lock = record(side, F_UNLCK)
        _ = fcntl(descriptor, F_SETLK, &lock)
    }

    /// Whether a process other than this one holds the side.
    func isHeldElsewhere(_ side: ShmSide) -> Bool {
        var lock = record(side, F_WRLCK)
        guard fcntl(descriptor, F_GETLK, &lock) == 0 else { return true }
        return lock.l_type != F_UNLCK
    }

    private func record(_ side: ShmSide, _ type: CInt) -> flock {
        var lock = flock()
        lock.l_type = Int16(type)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = Self.firstLockedByte + off_t(worker * 2 + side.rawValue)
        lock.l_len = 1
        return lock
    }

    static func nowNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
