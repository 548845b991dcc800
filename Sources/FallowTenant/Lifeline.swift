package import FallowWire
internal import Glibc
package import Synchronization

/// The process lives as long as the agent's end of the control socket: whatever the workers are doing, its end is ours.
package enum Lifeline {
    /// What is done before the process ends itself; brief.
    package static let lastWord = Mutex<(@Sendable () -> Void)?>(nil)

    /// Starts a thread that ends the process (by `_exit`, so that no destructor of the user's can delay it) when the socket
    /// ends. Packets that come meanwhile mean nothing and are dropped.
    package static func watch(_ descriptor: Int32) throws(WireError) {
        _ = try WorkerThread(name: "lifeline") {
            while true {
                var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&watched, 1, -1) >= 0 || errno == EINTR else { break }
                var byte: UInt8 = 0
                let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT))
                if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { break }
            }
            lastWord.withLock { $0?() }
            hangUp()
            _exit(TenantExit.lifelineEnded.rawValue)
        }
    }

    /// Ends every connection of this process, now. Closing would not: what a function forked holds copies of our descriptors, and
    /// clients would wait for somebody who is gone.
    private static func hangUp() {
        for descriptor in 0..<Int32(clamping: sysconf(Int32(_SC_OPEN_MAX))) { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }
}

/// What the exit code of an executor or a donor says.
package enum TenantExit: Int32 {
    /// The clients left.
    case served = 0
    /// The assignment could not be carried out; the report said why.
    case unusable = 1
    /// There was no assignment to be had.
    case noAssignment = 2
    /// An rFaaS function wrote past its slot.
    case overrun = 3
    /// A client broke the protocol, or the transport failed.
    case transportFailed = 4
    /// The agent's end of the control socket closed.
    case lifelineEnded = 5
}
