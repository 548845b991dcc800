internal import CLinux
internal import FallowTransport
internal import Glibc
internal import TransportHandshake

/// A connected socket, or one that listens; closed with this object.
final class StreamSocket {
    let descriptor: CInt
    private var isOpen = true
    private var watch: CInt = -1

    /// - Parameter descriptor: taken over; when it is a negated errno, this throws.
    init(adopting descriptor: CInt) throws(TransportError) {
        guard descriptor >= 0 else { throw .system(code: -descriptor) }
        self.descriptor = descriptor
    }

    deinit { close() }

    /// Idempotent.
    func close() {
        guard isOpen else { return }
        isOpen = false
        _ = Glibc.close(descriptor)
        if watch >= 0 { _ = Glibc.close(watch) }
    }

    /// A descriptor that is readable when the socket is readable or writable; negative when there is none to be had.
    var watchForBoth: CInt {
        guard watch < 0 else { return watch }
        watch = clinux_epoll_create()
        let both = UInt32(CLINUX_EPOLL_READABLE | CLINUX_EPOLL_WRITABLE)
        if watch >= 0 { _ = clinux_epoll_add(watch, descriptor, both, 0) }
        return watch
    }

    /// Connects. Blocks until the deadline at most.
    static func connect(
        host: String, port: UInt16, until deadline: MonotonicDeadline
    ) throws(TransportError) -> StreamSocket {
        let socket = try StreamSocket(adopting: clinux_stream_connect(host, port))
        guard socket.wait(Int16(POLLOUT), until: deadline) else { throw .timedOut }
        let error = clinux_socket_error(socket.descriptor)
        guard error == 0 else { throw .system(code: -error) }
        socket.keepAlive()
        return socket
    }

    /// Has the kernel notice within 3 s that a peer's host is gone to which nothing is said. Best effort: without it, nothing does.
    func keepAlive() { _ = clinux_stream_keep_alive(descriptor) }

    /// Whether the peer's host has answered nothing for about 1.5 s. To be asked about now and then while something is under
    /// way: the kernel's own bound is minutes, or ends what a peer merely does not take just now, because it is stopped or gets
    /// no processor.
    var isSilent: Bool { clinux_stream_is_silent(descriptor) != 0 }

    /// Sleeps until the socket is ready.
    /// - Returns: false when the deadline passed first.
    func wait(_ events: Int16, until deadline: MonotonicDeadline) -> Bool {
        while true {
            var watched = pollfd(fd: descriptor, events: events, revents: 0)
            if poll(&watched, 1, deadline.millisecondsLeft) > 0 { return true }
            if deadline.hasPassed { return false }
        }
    }

    /// Sends a few bytes of the handshake, for which a new connection has room.
    func send(_ bytes: [UInt8]) throws(TransportError) {
        let sent = bytes.withUnsafeBytes { buffer in
            var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress), iov_len: buffer.count)
            return clinux_stream_send(descriptor, &part, 1)
        }
        guard sent == bytes.count else { throw .peerLost }
    }

    /// What there is, up to so many bytes: empty when there is nothing just now.
    func receive(atMost count: Int) throws(TransportError) -> [UInt8] {
        var got = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var part = iovec(iov_base: buffer.baseAddress, iov_len: count)
            got = clinux_stream_receive(descriptor, &part, 1)
            initialized = max(0, got)
        }
        guard got > 0 || got == -Int(EAGAIN) else { throw .peerLost }
        return bytes
    }

    /// Receives so many bytes. Blocks until the deadline at most.
    func receive(_ count: Int, until deadline: MonotonicDeadline) throws(TransportError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard wait(Int16(POLLIN), until: deadline) else { throw .timedOut }
            bytes += try receive(atMost: count - bytes.count)
        }
        return bytes
    }
}
