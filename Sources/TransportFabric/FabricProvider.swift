internal import CFabric
internal import Glibc
internal import TransportHandshake

/// libfabric's objects all begin with a `fid`; this is its address.
func fid<Object>(_ object: UnsafeMutablePointer<Object>) -> UnsafeMutablePointer<CFabric.fid> {
    UnsafeMutableRawPointer(object).assumingMemoryBound(to: CFabric.fid.self)
}

/// What libfabric found for an address; freed with this object.
final class FabricInformation {
    let pointer: UnsafeMutablePointer<fi_info>

    init(taking pointer: UnsafeMutablePointer<fi_info>) { self.pointer = pointer }
    deinit { cfabric_freeinfo(pointer) }

    /// Whether remote addresses are the peer's virtual ones rather than offsets from 0.
    var usesVirtualAddresses: Bool { pointer.pointee.domain_attr.pointee.mr_mode & CInt(FI_MR_VIRT_ADDR) != 0 }
    var needsLocalRegistration: Bool { pointer.pointee.domain_attr.pointee.mr_mode & CInt(FI_MR_LOCAL) != 0 }

    /// The tcp provider with connected endpoints, for listening at or for reaching a numeric address.
    init(host: String, port: String, listening: Bool) throws(FabricError) {
        try loadFabric()
        guard let hints = cfabric_allocinfo() else {
            throw FabricError("no memory for libfabric's hints", code: ENOMEM)
        }
        defer { cfabric_freeinfo(hints) }
        hints.pointee.caps = UInt64(FI_MSG) | UInt64(FI_RMA)
        hints.pointee.ep_attr.pointee.type = FI_EP_MSG
        hints.pointee.fabric_attr.pointee.prov_name = strdup("tcp")
        hints.pointee.domain_attr.pointee.mr_mode = CInt(
            FI_MR_LOCAL | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_VIRT_ADDR)
        // Each endpoint is driven by the one thread that uses it: no thread of libfabric's is wanted.
        hints.pointee.domain_attr.pointee.control_progress = FI_PROGRESS_MANUAL
        hints.pointee.domain_attr.pointee.data_progress = FI_PROGRESS_MANUAL
        var found: UnsafeMutablePointer<fi_info>?
        let flags = UInt64(FI_NUMERICHOST) | (listening ? UInt64(FI_SOURCE) : 0)
        let result = cfabric_getinfo(cfabric_make_version(1, 17), host, port, flags, hints, &found)
        try fabricCheck(result, listening ? "listen at '\(host)' over tcp" : "reach '\(host)' port \(port) over tcp")
        guard let found else { throw FabricError("libfabric offers nothing for '\(host)'", code: ENODATA) }
        pointer = found
    }
}

/// An opened fabric. Everything opened on it keeps a reference.
final class FabricRoot {
    let fabric: UnsafeMutablePointer<fid_fabric>

    init(_ information: FabricInformation) throws(FabricError) {
        var opened: UnsafeMutablePointer<fid_fabric>?
        try fabricCheck(cfabric_fabric(information.pointer.pointee.fabric_attr, &opened), "open the fabric")
        guard let opened else { throw FabricError("libfabric opened no fabric", code: EIO) }
        fabric = opened
    }
    deinit { fi_close(fid(fabric)) }
}

/// A queue of connection events, and the descriptor to sleep on.
final class FabricEvents {
    let root: FabricRoot
    let queue: UnsafeMutablePointer<fid_eq>
    let descriptor: CInt
    private static let bufferBytes = 1024

    enum Event {
        case request(FabricInformation, data: [UInt8])
        case connected(data: [UInt8])
        case shutdown
        case failed(code: CInt, data: [UInt8])
    }

    init(_ root: FabricRoot) throws(FabricError) {
        self.root = root
        var attributes = fi_eq_attr()
        attributes.wait_obj = FI_WAIT_FD
        var opened: UnsafeMutablePointer<fid_eq>?
        try fabricCheck(fi_eq_open(root.fabric, &attributes, &opened, nil), "open an event queue")
        guard let opened else { throw FabricError("libfabric opened no event queue", code: EIO) }
        queue = opened
        var wait: CInt = -1
        let result = fi_control(fid(opened), CInt(FI_GETWAIT), &wait)
        descriptor = wait
        try fabricCheck(result, "give an event queue's descriptor")
    }
    deinit { fi_close(fid(queue)) }

    /// The next event, if there is one. Never blocks.
    func next() -> Event? {
        withUnsafeTemporaryAllocation(byteCount: Self.bufferBytes, alignment: 16) { buffer -> Event? in
            guard let base = buffer.baseAddress else { return nil }
            var kind: UInt32 = 0
            let count = fi_eq_read(queue, &kind, base, buffer.count, 0)
            if count == -Int(EAGAIN) || count == 0 { return nil }
            if count < 0 { return error() }
            let headBytes = MemoryLayout<fi_eq_cm_entry>.size
            let data = count > headBytes ? Array(buffer[headBytes..<min(count, buffer.count)]) : []
            switch kind {
            case UInt32(FI_CONNREQ):
                guard let information = base.load(as: fi_eq_cm_entry.self).info else { return nil }
                return .request(FabricInformation(taking: information), data: data)
            case UInt32(FI_CONNECTED): return .connected(data: data)
            case UInt32(FI_SHUTDOWN): return .shutdown
            default: return nil
            }
        }
    }

    private func error() -> Event {
        var data = [UInt8](repeating: 0, count: 256)
        var entry = fi_eq_err_entry()
        let count = data.withUnsafeMutableBytes { buffer in
            entry.err_data = buffer.baseAddress
            entry.err_data_size = buffer.count
            return fi_eq_readerr(queue, &entry, 0)
        }
        guard count > 0 else { return .failed(code: EIO, data: []) }
        return .failed(code: entry.err, data: Array(data.prefix(entry.err_data_size)))
    }

    /// Waits for the next event.
    /// - Returns: nil when the deadline passed.
    func next(until deadline: MonotonicDeadline) -> Event? {
        while true {
            if let event = next() { return event }
            let milliseconds = deadline.millisecondsLeft
            if milliseconds == 0 { return nil }
            var waited: UnsafeMutablePointer<CFabric.fid>? = fid(queue)
            if fi_trywait(root.fabric, &waited, 1) != 0 { continue }
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // In slices: a provider that forgets to signal costs time, not the connection.
            _ = poll(&poller, 1, min(milliseconds, 50))
        }
    }
}
