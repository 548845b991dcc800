internal import Glibc

/// Small kernel files and folders: the one door for reading and writing them.
enum HostFile {
    /// More than any kernel file read here should hold; what is beyond is cut off.
    static let limitBytes = 4 << 20

    static func read(_ path: String) throws(HostError) -> String {
        switch contents(path) {
        case .success(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .failure(let failure): throw .system("cannot read", path: path, failure.number)
        }
    }

    /// - Returns: nil when it cannot be read for whatever reason: absent, gone meanwhile, forbidden.
    static func readIfPresent(_ path: String) -> String? {
        guard case .success(let bytes) = contents(path) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func trimmed(_ path: String) -> String? {
        readIfPresent(path).map { text in
            var rest = text[...]
            while rest.last?.isWhitespace == true { rest.removeLast() }
            return String(rest)
        }
    }

    static func integer(_ path: String) -> Int64? { trimmed(path).flatMap { Int64($0) } }

    /// The value of `key` in a file of `key value` lines.
    static func value(of key: String, in text: String) -> Int64? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            if words.count >= 2, words[0] == key { return Int64(words[1]) }
        }
        return nil
    }

    static func write(_ text: String, to path: String) throws(HostError) {
        let failure = tryWrite(text, to: path)
        guard failure == 0 else { throw .system("cannot write '\(text)'", path: path, failure) }
    }

    /// - Returns: 0 or the errno.
    static func tryWrite(_ text: String, to path: String) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        var text = text
        return text.withUTF8 { bytes in
            while true {
                let count = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
                if count == bytes.count { return 0 }
                if count >= 0 { return EIO }
                if errno != EINTR { return errno }
            }
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// - Returns: false when the folder was there already.
    static func makeFolder(_ path: String) throws(HostError) -> Bool {
        if mkdir(path, 0o755) == 0 { return true }
        guard errno == EEXIST else { throw .system("cannot make the folder", path: path, errno) }
        return false
    }

    /// The names in a folder, without `.` and `..`; empty when there is no such folder.
    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    struct Failure: Error { let number: Int32 }

    private static func contents(_ path: String) -> Result<[UInt8], Failure> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(Failure(number: errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        while bytes.count < limitBytes {
            var failure: Int32 = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: bytes.isEmpty ? 4096 : 65_536) { buffer, count in
                let got = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                failure = got < 0 ? errno : 0
                count = max(0, got)
            }
            if failure == EINTR { continue }
            if failure != 0 { return .failure(Failure(number: failure)) }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return .success(bytes)
    }
}

/// The monotonic clock's time in nanoseconds: the base of every deadline here.
func monotonicNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}

func sleep(microseconds: Int) { usleep(UInt32(microseconds)) }
