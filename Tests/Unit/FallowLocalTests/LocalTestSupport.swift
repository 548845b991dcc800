import FallowLocal
import FallowModel
import Glibc
import Testing

/// A folder for one test, removed afterwards with the sockets in it.
func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/tmp/fallow-local-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LocalError(.system, "mkdtemp", errorNumber: errno) }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
        for name in ["socket", "file"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }
    return try body(folder)
}

/// Runs a loop on this thread; a loop that does not stop within ten seconds is a failure.
func run(_ loop: EventLoop, sourceLocation: SourceLocation = #_sourceLocation) {
    let guardian = loop.after(.seconds(10)) {
        Issue.record("the loop did not end", sourceLocation: sourceLocation)
        loop.stop()
    }
    loop.run()
    loop.cancel(guardian)
}

/// How many descriptors this process has open, on one file if given: other tests open and close theirs meanwhile.
func openDescriptorCount(of file: Int32? = nil) -> Int {
    var (wanted, found) = (stat(), stat())
    if let file { fstat(file, &wanted) }
    return (0..<1024).count { number in
        guard fstat(Int32(number), &found) == 0 else { return false }
        return file == nil || (found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev)
    }
}

/// A descriptor of a file that nothing else has open.
func uniqueDescriptor() -> Int32 {
    var template = Array("/tmp/fallow-local-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    unlink(template)
    return descriptor
}

func accepted(from listener: LocalListener) throws -> LocalConnection {
    for _ in 0..<1000 {
        if let connection = try listener.accept() { return connection }
        usleep(1000)
    }
    throw LocalError(.timedOut, "nobody came")
}

func receive(_ connection: LocalConnection) throws -> (bytes: [UInt8], descriptors: [Int32]) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let (count, descriptors) = try buffer.withUnsafeMutableBytes { try #require(try connection.receive(into: $0)) }
    return (Array(buffer[..<count]), descriptors)
}
