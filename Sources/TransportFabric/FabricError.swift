internal import CFabric
internal import Glibc

/// Why a listener cannot be made.
public struct FabricError: Error, CustomStringConvertible, Sendable {
    /// The errno behind it.
    public let code: CInt
    /// One sentence: what was wrong, and what would be right.
    public let description: String

    init(_ description: String, code: CInt) {
        self.code = code
        self.description = "\(description): \(String(cString: strerror(code)))"
    }
}

/// Loads libfabric when nobody has yet.
func loadFabric() throws(FabricError) {
    switch cfabric_load() {
    case 0: return
    case ENOSYS: throw FabricError("libfabric.so.1 on this machine is too old; 1.17 or newer is needed", code: ENOSYS)
    case let code:
        throw FabricError("libfabric.so.1 is not installed here; leases on other nodes need it", code: code)
    }
}

/// A call's negated errno as an error; values from 256 up are libfabric's own and count as EIO.
func fabricCheck(_ result: some SignedInteger, _ what: String) throws(FabricError) {
    guard result < 0 else { return }
    let code = CInt(truncatingIfNeeded: -result)
    throw FabricError("libfabric cannot \(what)", code: code < 256 ? code : EIO)
}

extension FabricError {
    static func checkSecret(_ secret: [UInt8]) throws(FabricError) {
        guard secret.count == 32 else {
            throw FabricError("a lease's secret has 32 bytes, not \(secret.count)", code: EINVAL)
        }
    }
}
