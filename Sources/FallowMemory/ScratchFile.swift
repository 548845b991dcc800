internal import FallowClient
internal import Glibc

/// A file without a name that holds one copy of a durable region.
final class ScratchFile {
    private let descriptor: CInt

    init(folder: String, bytes: Int) throws(FallowError) {
        var path = Array((folder + "/fallow-region.XXXXXX").utf8CString)
        descriptor = mkstemp(&path)
        guard descriptor >= 0 else {
            throw FallowError(
                .invalid, "no scratch file can be made in '\(folder)': \(String(cString: strerror(errno)))")
        }
        unlink(path)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        guard ftruncate(descriptor, off_t(bytes)) == 0 else {
            let code = errno
            close(descriptor)
            throw FallowError(
                .invalid,
                "no scratch file of \(bytes) bytes can be made in '\(folder)': \(String(cString: strerror(code)))"
            )
        }
    }
    deinit { close(descriptor) }

    /// - Returns: whether all of it was read.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Bool {
        move(buffer.count) { pread(descriptor, buffer.baseAddress?.advanced(by: $0), $1, off_t(offset + $0)) }
    }
    func write(from buffer: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        move(buffer.count) { pwrite(descriptor, buffer.baseAddress?.advanced(by: $0), $1, off_t(offset + $0)) }
    }

    private func move(_ count: Int, _ step: (_ done: Int, _ left: Int) -> Int) -> Bool {
        var done = 0
        while done < count {
            let moved = step(done, count - done)
            if moved < 0, errno == EINTR { continue }
            guard moved > 0 else { return false }
            done += moved
        }
        return true
    }
}
