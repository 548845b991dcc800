internal import CRDMA
internal import Glibc

/// Why a device, a listener or a region cannot be had.
public struct VerbsError: Error, CustomStringConvertible, Sendable {
    /// The errno behind it.
    public let code: CInt
    /// One sentence: what was wrong, and what would be right.
    public let description: String

    /// Whether it only says that there is no RDMA here: no libraries, no device, none that carries the address.
    public var isAbsence: Bool { [ENOENT, ENODEV].contains(code) }

    init(_ description: String, code: CInt) {
        self.code = code
        self.description = "\(description): \(String(cString: strerror(code)))"
    }
}

/// Loads the RDMA libraries when nobody has yet.
func loadVerbs() throws(VerbsError) {
    switch crdma_load() {
    case 0: return
    case ENOSYS:
        throw VerbsError("libibverbs or librdmacm on this machine is too old; 28 or newer is needed", code: ENOSYS)
    case let code: throw VerbsError("libibverbs.so.1 and librdmacm.so.1 are not both installed here", code: code)
    }
}

/// A call's errno as an error.
func verbsCheck(_ code: CInt, _ what: @autoclosure () -> String) throws(VerbsError) {
    guard code != 0 else { return }
    throw VerbsError("verbs cannot \(what())", code: code)
}
