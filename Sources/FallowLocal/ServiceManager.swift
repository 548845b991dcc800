internal import CLinux
internal import Glibc

/// What systemd is told about this process, and how often it wants a sign of life: sd_notify(3) over its Unix datagram socket, without
/// libsystemd.
public struct ServiceManager: Sendable {
    private let socket: String
    /// `WatchdogSec=` of the unit; nil: nobody waits for signs of life.
    public let watchdog: Duration?

    /// How often a sign of life goes out: often enough that one that was lost is not missed.
    public var alivePeriod: Duration? { watchdog.map { $0 / 4 } }

    /// - Parameters:
    ///   - environment: what systemd has set: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    ///   - processID: nil: this process's.
    /// - Returns: nil when there is no manager, or none that this can reach: then there is nobody to tell.
    public init?(environment: [String: String], processID: Int32? = nil) {
        guard let socket = environment["NOTIFY_SOCKET"], socket.hasPrefix("/") || socket.hasPrefix("@"),
            (2...Int(CLINUX_MAX_PATH)).contains(socket.utf8.count)
        else { return nil }
        self.socket = socket
        let isForUs = environment["WATCHDOG_PID"].map { Int32($0) == processID ?? getpid() } ?? true
        watchdog = environment["WATCHDOG_USEC"].flatMap { Int64($0) }
            .flatMap { $0 > 0 && isForUs ? .microseconds($0) : nil }
    }

    /// The process serves: who waits for it may go on.
    public func ready() { send("READY=1") }

    /// It has begun to end.
    public func stopping() { send("STOPPING=1") }

    /// It does its work: to be called by what would hang if it hung.
    public func alive() { send("WATCHDOG=1") }

    /// Never blocks; what cannot be sent is dropped.
    private func send(_ text: String) {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            // An abstract name begins with a zero, which is written as '@'.
            for (index, byte) in socket.utf8.enumerated() { path[index] = index == 0 && byte == 0x40 ? 0 : byte }
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + socket.utf8.count)
        let bytes = Array(text.utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL),
                    address, length)
            }
        }
    }
}
