internal import Glibc

/// A port of this machine, tried.
enum TCPPort {
    /// Why nobody answers where a daemon was told to listen (`0.0.0.0:6881`); nil: somebody does. Blocks at most for the span.
    static func refusal(ofListening address: String, within span: Duration) -> String? {
        guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...]) else {
            return "'\(address)' is no address and port"
        }
        var host = address[..<colon].filter { $0 != "[" && $0 != "]" }
        if host == "0.0.0.0" { host = "127.0.0.1" }
        if host == "::" { host = "::1" }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(String(host), "\(port)", &hints, &found)
        guard code == 0, let entry = found?.pointee else { return String(cString: gai_strerror(code)) }
        defer { freeaddrinfo(found) }
        let descriptor = socket(
            entry.ai_family, entry.ai_socktype | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        defer { close(descriptor) }
        if connect(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 { return nil }
        guard errno == EINPROGRESS else { return String(cString: strerror(errno)) }
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        let milliseconds = Int32(
            clamping: span.components.seconds * 1000 + span.components.attoseconds / 1_000_000_000_000_000)
        guard poll(&waiting, 1, milliseconds) > 0 else { return "no answer within \(milliseconds) ms" }
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
        return error == 0 ? nil : String(cString: strerror(error))
    }
}
