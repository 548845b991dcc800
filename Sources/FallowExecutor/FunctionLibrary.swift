internal import CFallow
internal import CLinux
public import FallowWire
internal import Glibc

/// How the functions of a library are called.
public enum FunctionABI: Hashable, Sendable {
    /// `int32_t name(const struct fallow_call *)`: the library says `FALLOW_LIBRARY`.
    case fallow
    /// `uint32_t name(void *in, uint32_t in_size, void *out)`: rFaaS's, for libraries that say nothing.
    case rfaas
}

/// A loaded library of functions. It stays loaded until the process ends.
public struct FunctionLibrary: @unchecked Sendable {
    public let abi: FunctionABI
    private let handle: UnsafeMutableRawPointer

    /// Loads a library from a descriptor, which must stay open. Runs the library's constructors, in this process and with
    /// its rights; blocks as long as they do.
    /// - Parameter name: the file's name as the user knows it, for messages.
    /// - Throws: `.libraryUnusable` with a sentence: not ELF, another machine's, missing symbols or libraries, made for
    ///   another version of fallow.h.
    public init(descriptor: Int32, name: String) throws(WireError) {
        let file = LibraryFile(descriptor: descriptor, name: name)
        try file.check()
        let path = try file.loadablePath()
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw file.unusable("cannot be loaded: \(Self.loaderMessage(path: path, name: name))")
        }
        self.handle = handle
        guard let marker = clinux_library_data(handle, "fallow_library_abi", 4) else {
            abi = .rfaas
            return
        }
        let version = marker.loadUnaligned(as: UInt32.self)
        guard version == FALLOW_ABI_VERSION else {
            throw file.unusable(
                "was built for version \(version) of fallow.h's functions; this node has version "
                    + "\(FALLOW_ABI_VERSION): build it against this node's fallow.h")
        }
        abi = .fallow
    }

    /// Looks a function up by its symbol's name.
    /// - Returns: nil when the library itself defines no function of that name. What only its dependencies define does not
    ///   count: else every library would have libc's `system`.
    func function(named name: UnsafeRawBufferPointer) -> UnsafeMutableRawPointer? {
        let longest = InvocationLayout.longestFunctionNameBytes
        guard !name.isEmpty, name.count <= longest, !name.contains(0) else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: name.count + 1, alignment: 1) { buffer in
            buffer.copyMemory(from: name)
            buffer[name.count] = 0
            let text = buffer.bindMemory(to: CChar.self).baseAddress!
            guard String(validatingCString: text) != nil else { return nil }
            return clinux_library_function(handle, text)
        }
    }

    /// The loader's last words: at most 600 bytes, with the file's name for the path that only we know.
    private static func loaderMessage(path: String, name: String) -> String {
        guard let raw = dlerror() else { return "the loader does not say why" }
        var text = String(decoding: UnsafeRawBufferPointer(start: raw, count: min(strlen(raw), 600)), as: UTF8.self)
        if text.hasPrefix(path) { text = name + text.dropFirst(path.count) }
        return text
    }
}
