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

    /// Makes the pipe. From any thread.
    /// - Returns: the end to read from, nonblocking, and the one to write to; both the caller's to close.
    static func makePipe() throws(LocalError) -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        let code = clinux_pipe(&ends)
        guard code == 0 else { throw LocalError(.system, "cannot make a pipe", errorNumber: -code) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return (ends[0], ends[1])
    }

    /// Takes over the reading end, also when it throws.
    init(reading descriptor: Int32, loop: EventLoop) throws(LocalError) {
        self.descriptor = descriptor
        self.loop = loop
        do {
            token = try loop.watch(descriptor, .readable) { [weak self] _ in self?.read() }
        } catch {
            Glibc.close(descriptor)
            throw error
        }
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
        return String(
            String.UnicodeScalarView(line.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }).prefix(300))
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
