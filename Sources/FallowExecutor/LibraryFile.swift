internal import CLinux
internal import FallowWire
internal import Glibc

/// A user's shared library as a descriptor: looked at before the dynamic loader sees it, so that what people get wrong
/// most (a source file, an object file, another machine's library) is said in words.
struct LibraryFile {
    let descriptor: Int32
    /// For messages: the file's name as the user knows it.
    let name: String

    /// Throws `.libraryUnusable` unless the file is an ELF shared object for this machine.
    func check() throws(WireError) {
        var header = [UInt8](repeating: 0, count: 20)
        let count = header.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw unusable("cannot be read: \(String(cString: strerror(errno)))") }
        guard count > 0 else { throw unusable("is empty") }
        guard count == header.count, header[0...3].elementsEqual([0x7f, 0x45, 0x4c, 0x46]) else {
            throw unusable(
                "is not a shared library: it does not begin like an ELF file (build it with cc -shared -fPIC)")
        }
        guard header[4] == 2, header[5] == 1 else {
            throw unusable("is not for this machine: a 64-bit little-endian library is needed")
        }
        let machine = UInt16(header[18]) | UInt16(header[19]) << 8
        guard machine == Self.ownMachine else {
            throw unusable("is for another processor (ELF machine \(machine), this node is \(Self.ownMachine))")
        }
        let type = UInt16(header[16]) | UInt16(header[17]) << 8
        guard type == 3 else {
            let kind = type == 1 ? "an object file" : type == 2 ? "a program" : "ELF type \(type)"
            throw unusable("is \(kind), not a shared library (build it with cc -shared -fPIC)")
        }
    }

    /// A path that the loader can open. The file's own descriptor where this process may open it again, else a copy in
    /// anonymous memory (counted in the lease): the agent's cache need not be readable by the user.
    func loadablePath() throws(WireError) -> String {
        let direct = "/proc/self/fd/\(descriptor)"
        let again = open(direct, O_RDONLY | O_CLOEXEC)
        if again >= 0 {
            close(again)
            return direct
        }
        return "/proc/self/fd/\(try copy())"
    }

    private func copy() throws(WireError) -> Int32 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unusable("cannot be read") }
        let size = Int(status.st_size)
        let memory = clinux_memfd_create("fallow-library", UInt64(size))
        guard memory >= 0 else { throw unusable("cannot be copied into memory: \(String(cString: strerror(-memory)))") }
        var offset: off_t = 0
        while offset < size {
            let count = sendfile(memory, descriptor, &offset, size - Int(offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let reason = count < 0 ? String(cString: strerror(errno)) : "it became shorter while it was read"
                close(memory)
                throw unusable("cannot be copied into memory: \(reason)")
            }
        }
        return memory
    }

    func unusable(_ what: String) -> WireError { WireError(.libraryUnusable, "the library '\(name)' \(what)") }

    #if arch(x86_64)
        private static let ownMachine: UInt16 = 62
    #elseif arch(arm64)
        private static let ownMachine: UInt16 = 183
    #endif
}
