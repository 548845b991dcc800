internal import CLinux
internal import CRDMA
internal import Glibc

/// An RDMA device's port, as somebody who looks for one wants to know it.
public struct VerbsDevice: Hashable, Sendable {
    /// As `ibv_devices` calls it.
    public let name: String
    /// From 1.
    public let port: Int
    /// Whether the port carries traffic.
    public let isActive: Bool

    /// The device that carries an address of this node, however it does so (RoCE, InfiniBand, iWARP).
    /// - Throws: a sentence: no such device, the libraries are not installed, /dev/infiniband is not to be opened.
    public static func carrying(_ address: String) throws(VerbsError) -> VerbsDevice {
        let (id, context) = try bind(address)
        let port = id.pointer.pointee.port_num
        var attributes = ibv_port_attr()
        try verbsCheck(crdma_query_port(context, port, &attributes), "ask for the state of port \(port)")
        let name = withUnsafeBytes(of: context.pointee.device.pointee.name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return VerbsDevice(name: name, port: Int(port), isActive: attributes.state == IBV_PORT_ACTIVE)
    }

    /// The names of this node's devices, whether or not they carry an address.
    /// - Throws: when the libraries are not installed.
    public static func names() throws(VerbsError) -> [String] {
        try loadVerbs()
        return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16384) { buffer throws(VerbsError) in
            guard let base = buffer.baseAddress else { return [] }
            let code = crdma_device_names(base, buffer.count)
            // Without the kernel's part there are no devices.
            if code == ENOSYS || code == ENOENT { return [] }
            try verbsCheck(code, "list the devices")
            var names: [String] = []
            var next = base
            while next.pointee != 0 {
                names.append(String(cString: next))
                next += strlen(next) + 1
            }
            return names
        }
    }

    /// How much memory this process may lock, and so register; nil: as much as it likes.
    public static var lockedMemoryLimitBytes: UInt64? {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(CLINUX_LIMIT_MEMLOCK.rawValue), &limit)
        return limit.rlim_cur == rlim_t.max ? nil : UInt64(limit.rlim_cur)
    }

    /// This node's addresses that an RDMA device carries, numeric.
    public static func addresses() -> [String] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var texts: [String] = []
        for entry in sequence(first: first, next: { $0?.pointee.ifa_next }) {
            guard let address = entry?.pointee.ifa_addr, [AF_INET, AF_INET6].contains(CInt(address.pointee.sa_family))
            else { continue }
            let bytes =
                CInt(address.pointee.sa_family) == AF_INET
                ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            guard getnameinfo(address, socklen_t(bytes), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            else { continue }
            texts.append(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return texts.filter { (try? bind($0)) != nil }
    }

    /// An id bound to an address, and the device that it is on.
    static func bind(_ address: String) throws(VerbsError) -> (VerbsID, UnsafeMutablePointer<ibv_context>) {
        guard let name = VerbsAddress(host: address) else {
            throw VerbsError("'\(address)' is no numeric address", code: EINVAL)
        }
        let id = try VerbsID(VerbsEvents())
        try verbsCheck(name.withPointer { crdma_bind(id.pointer, $0) }, "use the address '\(address)'")
        guard let context = id.context else {
            throw VerbsError("no RDMA device carries the address '\(address)'", code: ENODEV)
        }
        return (id, context)
    }
}
