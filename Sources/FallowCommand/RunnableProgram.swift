internal import CLinux
internal import Glibc

/// Which programs can be left as they are.
enum RunnableProgram {
    /// The program's file, as a shell would find it, when it can be run with remote memory.
    /// - Throws: `RunRefusal` with 127 (not found) or 126 (found, but not to be run so), and what would be right.
    static func find(_ name: String, path: String?) throws(RunRefusal) -> String {
        let found = try locate(name, path ?? "/usr/local/bin:/usr/bin:/bin")
        try check(found, name, depth: 0)
        return found
    }

    private static func locate(_ name: String, _ path: String) throws(RunRefusal) -> String {
        let named = path.split(separator: ":", omittingEmptySubsequences: false).map { "\($0)/" }
        let folders = name.contains("/") ? [""] : named
        var isThere = false
        for folder in folders {
            let candidate = folder == "/" ? "./\(name)" : folder + name
            var status = stat()
            guard stat(candidate, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            isThere = true
            if access(candidate, X_OK) == 0 { return candidate }
        }
        throw isThere
            ? RunRefusal(RunRefusal.notRunnable, "\(name) may not be executed")
            : RunRefusal(RunRefusal.notFound, "there is no program \(name)")
    }

    /// Scripts are judged by what interprets them.
    private static func check(_ path: String, _ name: String, depth: Int) throws(RunRefusal) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw RunRefusal(RunRefusal.notFound, "there is no program \(path)") }
        func refuse(_ why: String) -> RunRefusal { RunRefusal(RunRefusal.notRunnable, "\(name): \(path) \(why)") }
        if status.st_mode & (S_ISUID | S_ISGID) != 0 || clinux_file_has_capabilities(path) != 0 {
            throw refuse("is setuid, setgid or has capabilities, and takes no library from its user")
        }
        guard let head = FileHead(path) else { throw refuse("cannot be read") }
        if let interpreter = head.scriptInterpreter {
            guard depth < 4 else { throw refuse("is a script of a script of a script of a script") }
            return try check(interpreter, name, depth: depth + 1)
        }
        switch head.elf {
        case .notELF: throw refuse("is neither a program nor a script with an interpreter (#!)")
        case .otherMachine: throw refuse("is a program for another machine")
        case .withoutInterpreter:
            throw refuse("is statically linked, so its memory cannot be seen; link it dynamically with glibc")
        case .interpreter(let loader):
            guard loader.split(separator: "/").last?.hasPrefix("ld-linux") == true else {
                throw refuse("is linked with another C library (\(loader)); only glibc's programs are supported")
            }
        }
    }

    /// - Throws: when the kernel does not let an ordinary process serve its own page faults. vm.unprivileged_userfaultfd does
    ///   not matter: it is about faults of the kernel, which are not served.
    static func checkKernel() throws(RunRefusal) {
        let error = clinux_userfaultfd_probe()
        let why: String
        switch error {
        case 0: return
        case ENOSYS: why = "this kernel has no userfaultfd (CONFIG_USERFAULTFD)"
        case EPERM, EACCES:
            why = "userfaultfd is forbidden here, as by a container's filter of system calls (Linux: since 5.11)"
        default: why = "this kernel's userfaultfd is too old: Linux 5.11 or newer is needed"
        }
        throw RunRefusal(RunRefusal.noMemory, "\(why) (\(String(cString: strerror(error))))")
    }
}

/// The first bytes of an executable file.
struct FileHead {
    enum ELF {
        case notELF
        case otherMachine
        case withoutInterpreter
        case interpreter(String)
    }
    private let bytes: [UInt8]

    /// nil: it cannot be read.
    init?(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        bytes = Array(buffer[..<count])
    }

    /// For tests.
    init(bytes: [UInt8]) { self.bytes = bytes }

    /// After `#!`.
    var scriptInterpreter: String? {
        guard bytes.count > 2, bytes[0] == UInt8(ascii: "#"), bytes[1] == UInt8(ascii: "!") else { return nil }
        let line = bytes[2...].prefix { $0 != UInt8(ascii: "\n") }
        let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        return words.first.map { String(decoding: $0, as: UTF8.self) }
    }

    /// ELF64 as in elf(5): program header table at 32, its entries at 54 and 56; PT_INTERP names the dynamic loader.
    var elf: ELF {
        guard bytes.count >= 64, bytes[0...3] == [0x7f, 0x45, 0x4c, 0x46] else { return .notELF }
        #if arch(x86_64)
            let machine = 62
        #else
            let machine = 183
        #endif
        guard bytes[4] == 2, number(18, 2) == machine else { return .otherMachine }
        let table = number(32, 8)
        let size = number(54, 2)
        for index in 0..<number(56, 2) {
            let entry = table + index * size
            guard entry >= 0, entry + 56 <= bytes.count else { return .withoutInterpreter }
            guard number(entry, 4) == 3 else { continue }
            let offset = number(entry + 8, 8)
            let length = number(entry + 32, 8)
            guard offset >= 0, length > 1, offset + length <= bytes.count else { return .withoutInterpreter }
            return .interpreter(String(decoding: bytes[offset..<offset + length - 1], as: UTF8.self))
        }
        return .withoutInterpreter
    }

    /// Little-endian; what is out of all reason becomes -1.
    private func number(_ offset: Int, _ length: Int) -> Int {
        var value: UInt64 = 0
        for index in (0..<length).reversed() { value = value << 8 | UInt64(bytes[offset + index]) }
        return value < 1 << 40 ? Int(value) : -1
    }
}
