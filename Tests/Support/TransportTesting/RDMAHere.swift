internal import Glibc
internal import TransportVerbs

/// The addresses of this machine that RDMA devices carry: FALLOW_TEST_RDMA=SERVER[,CLIENT], else the first one found.
public enum RDMAHere {
    private static let addresses: [String] = {
        if let named = getenv("FALLOW_TEST_RDMA") {
            return String(cString: named).split(separator: ",").map(String.init)
        }
        return Array(VerbsDevice.addresses().prefix(1))
    }()
    public static var isNamed: Bool { getenv("FALLOW_TEST_RDMA") != nil }
    /// For what takes milliseconds: an emulated machine stands still for seconds when its host is busy.
    public static var patience: Duration { .seconds(20) }
    public static var isThere: Bool { !addresses.isEmpty }
    public static var server: String { addresses.first ?? "" }
    /// Where a client comes from; nil leaves it to the routes.
    public static var source: String? { addresses.count > 1 ? addresses[1] : nil }
}
