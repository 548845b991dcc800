internal import CLinux
internal import FallowLocal
internal import Glibc

/// The reading end of the pipe that is an executor's standard output and error.
///
/// It is always read, so that a function that prints never blocks, and only the end is kept, so that one that prints a
/// gigabyte costs no memory. Confined to the event loop's thread.
final class OutputTail {
    /// Bytes that are kept.
    static let limitBytes = 4096

    private let descriptor: Int32
    private var tail: [UInt8] = []
    private var token: EventLoop.Token?
    private let loop: EventLoop

    /// Makes the pipe.
    /// - Returns: the tail, and the writing end, which the caller closes after the spawn.
    static func make(on loop: EventLoop) throws(LocalError) -> (tail: OutputTail, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LocalError(.system, "cannot make a pipe", errorNumber: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        do {
            return (try OutputTail(reading: ends[0], loop: loop), ends[1])
        } catch {
            Glibc.close(ends[0])
            Glibc.close(ends[1])
            throw error
        }
    }

    private init(reading descriptor: Int32, loop: EventLoop) throws(LocalError) {
        self.descriptor = descriptor
        self.loop = loop
        token = try loop.watch(descriptor, .readable) { [weak self] _ in self?.read() }
    }

    deinit { close() }

    /// Stops reading. Whoever still writes gets EPIPE.
    func close() {
        guard let token else { return }
        read()
        loop.cancel(token)
        self.token = nil
        Glibc.close(descriptor)
    }

    /// The last line that was printed, without control characters; nil when nothing was.
    var lastLine: String? {
        let text = String(decoding: tail, as: UTF8.self)
        guard let line = text.split(whereSeparator: \.isNewline).last else { return nil }
        return String(String.UnicodeScalarView(line.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }).prefix(300))
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        if count > 0 {
            tail = Array((tail + buffer[..<count]).suffix(Self.limitBytes))
        } else if count == 0, let token {
            loop.cancel(token)
            self.token = nil
            Glibc.close(descriptor)
        }
    }
}
