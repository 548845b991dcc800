internal import CRDMA
internal import Glibc

/// A protection domain: what is registered in it can be reached by its own queue pairs alone. One for each lease.
final class VerbsDomain: @unchecked Sendable {
    let context: UnsafeMutablePointer<ibv_context>
    let pointer: UnsafeMutablePointer<ibv_pd>
    /// What the device can do.
    let limits: ibv_device_attr

    /// - Parameter context: a device of librdmacm's, which keeps it open as long as the process lives.
    init(_ context: UnsafeMutablePointer<ibv_context>) throws(VerbsError) {
        self.context = context
        var limits = ibv_device_attr()
        try verbsCheck(crdma_query_device(context, &limits), "ask the device for its limits")
        self.limits = limits
        var made: UnsafeMutablePointer<ibv_pd>?
        try verbsCheck(crdma_alloc_pd(context, &made), "make a protection domain")
        guard let made else { throw VerbsError("libibverbs made no protection domain", code: EIO) }
        pointer = made
    }
    deinit { crdma_dealloc_pd(pointer) }
}

/// Registered memory: pinned, and reachable by the device until this object goes.
final class VerbsRegistration {
    let domain: VerbsDomain
    private let pointer: UnsafeMutablePointer<ibv_mr>

    /// What local work requests name it by.
    var localKey: UInt32 { pointer.pointee.lkey }
    /// What the peer names it by.
    var remoteKey: UInt32 { pointer.pointee.rkey }

    /// - Parameter access: what may be done with it, beyond the device's reading for what is sent.
    init(
        _ memory: UnsafeMutableRawBufferPointer, access: [ibv_access_flags], domain: VerbsDomain
    ) throws(VerbsError) {
        let flags = access.reduce(CInt(0)) { $0 | CInt($1.rawValue) }
        var made: UnsafeMutablePointer<ibv_mr>?
        let code = crdma_reg_mr(domain.pointer, memory.baseAddress, memory.count, flags, &made)
        if code == ENOMEM {
            let most = VerbsDevice.lockedMemoryLimitBytes.map { "a limit of \($0) bytes" } ?? "no limit"
            throw VerbsError(
                "verbs cannot register \(memory.count) bytes; the process has \(most) of locked memory (ulimit -l)",
                code: code)
        }
        try verbsCheck(code, "register \(memory.count) bytes")
        guard let made else { throw VerbsError("libibverbs registered nothing", code: EIO) }
        pointer = made
        self.domain = domain
    }
    deinit { crdma_dereg_mr(pointer) }
}

/// Anonymous memory that a forked child does not see: a child's copy would take the pages away from the device.
final class VerbsMemory {
    let bytes: UnsafeMutableRawBufferPointer

    /// Zeroed; whole pages are used.
    init(byteCount: Int) throws(VerbsError) {
        guard
            let start = mmap(
                nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            start != MAP_FAILED
        else { throw VerbsError("cannot map \(byteCount) bytes", code: errno) }
        guard madvise(start, byteCount, MADV_DONTFORK) == 0 else {
            let code = errno
            munmap(start, byteCount)
            throw VerbsError("cannot keep memory out of forked children", code: code)
        }
        bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
    }
    deinit { munmap(bytes.baseAddress, bytes.count) }
}
