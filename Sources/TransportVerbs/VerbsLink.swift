internal import CRDMA
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// Everything of the device's that one connection owns, and its slots; given back in order when the last reference goes.
///
/// The peer may write where it was told: into this worker's incoming slots. It may read nothing, and nothing else of the
/// protection domain is open to it. Outgoing slots are registered for the device's own reading alone.
package final class VerbsLink: @unchecked Sendable {
    let id: VerbsID
    let domain: VerbsDomain
    let shape: VerbsShape
    let incomingBase: UnsafeMutableRawPointer
    let outgoingBase: UnsafeMutableRawPointer
    let incomingStride: Int
    let outgoingStride: Int
    /// Where the peer writes to reach us.
    package let window: VerbsWindow
    /// What the outgoing slots are named by in work requests.
    let outgoingKey: UInt32
    let pair: UnsafeMutablePointer<ibv_qp>
    /// One for sends and receives, so that one look sees everything.
    let queue: UnsafeMutablePointer<ibv_cq>
    let completionChannel: UnsafeMutablePointer<ibv_comp_channel>
    /// Most bytes that a send can carry within its work request.
    let inlineBytes: Int

    private let memory: VerbsMemory
    private let incomingRegion: VerbsRegistration
    private let outgoingRegion: VerbsRegistration

    init(_ id: VerbsID, domain: VerbsDomain, geometry: ArenaGeometry, isClient: Bool) throws(VerbsError) {
        guard id.context == domain.context else {
            throw VerbsError("the connection is on another device than the lease's others", code: EXDEV)
        }
        self.id = id
        self.domain = domain
        shape = try VerbsShape(slotCount: geometry.slotCount, limits: domain.limits)
        incomingStride = isClient ? geometry.outputStrideBytes : geometry.inputStrideBytes
        outgoingStride = isClient ? geometry.inputStrideBytes : geometry.outputStrideBytes
        let incomingBytes = geometry.slotCount * incomingStride
        let memory = try VerbsMemory(byteCount: incomingBytes + geometry.slotCount * outgoingStride)
        self.memory = memory
        let incoming = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[..<incomingBytes])
        let outgoing = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[incomingBytes...])
        guard let incomingBase = incoming.baseAddress, let outgoingBase = outgoing.baseAddress else {
            throw VerbsError("slots of no bytes", code: EINVAL)
        }
        self.incomingBase = incomingBase
        self.outgoingBase = outgoingBase
        incomingRegion = try VerbsRegistration(
            incoming, access: [IBV_ACCESS_LOCAL_WRITE, IBV_ACCESS_REMOTE_WRITE], domain: domain)
        outgoingRegion = try VerbsRegistration(outgoing, access: [], domain: domain)
        window = VerbsWindow(address: UInt64(UInt(bitPattern: incomingBase)), key: incomingRegion.remoteKey)
        outgoingKey = outgoingRegion.localKey

        var channel: UnsafeMutablePointer<ibv_comp_channel>?
        try verbsCheck(crdma_create_comp_channel(domain.context, &channel), "make a completion channel")
        guard let channel else { throw VerbsError("libibverbs made no completion channel", code: EIO) }
        var queue: UnsafeMutablePointer<ibv_cq>?
        do throws(VerbsError) {
            try verbsCheck(
                crdma_create_cq(domain.context, shape.completions, channel, &queue), "make a completion queue")
            guard let queue else { throw VerbsError("libibverbs made no completion queue", code: EIO) }
            (pair, inlineBytes) = try Self.makePair(id, domain, queue, shape)
            self.queue = queue
            completionChannel = channel
        } catch {
            if let queue { crdma_destroy_cq(queue) }
            crdma_destroy_comp_channel(channel)
            throw error
        }
        for _ in 0..<shape.receives / shape.receiveBatch { try postReceives() }
    }

    deinit {
        // Unregistered after the queue pair is gone, so that the peer never meets a window that is not there any more.
        crdma_destroy_qp(id.pointer)
        crdma_destroy_cq(queue)
        crdma_destroy_comp_channel(completionChannel)
        receiveChain.deallocate()
    }

    private static func makePair(
        _ id: VerbsID, _ domain: VerbsDomain, _ queue: UnsafeMutablePointer<ibv_cq>, _ shape: VerbsShape
    ) throws(VerbsError) -> (UnsafeMutablePointer<ibv_qp>, inlineBytes: Int) {
        var code: CInt = EINVAL
        for bytes in VerbsBounds.inlineBytes {
            var wanted = ibv_qp_init_attr()
            wanted.qp_type = IBV_QPT_RC
            wanted.send_cq = queue
            wanted.recv_cq = queue
            wanted.cap = ibv_qp_cap(
                max_send_wr: UInt32(shape.sends), max_recv_wr: UInt32(shape.receives), max_send_sge: 1,
                max_recv_sge: 1, max_inline_data: bytes)
            code = crdma_create_qp(id.pointer, domain.pointer, &wanted)
            if code == 0, let pair = id.pointer.pointee.qp { return (pair, Int(wanted.cap.max_inline_data)) }
            // Devices say no to more inline bytes than they have.
            guard code == EINVAL || code == ENOMEM else { break }
        }
        throw VerbsError("verbs cannot make a queue pair for \(shape.sends) sends", code: code)
    }

    /// The receives that are posted at once: a write with an immediate uses one up, and puts nothing into it.
    private lazy var receiveChain: UnsafeMutablePointer<ibv_recv_wr> = {
        let chain = UnsafeMutablePointer<ibv_recv_wr>.allocate(capacity: shape.receiveBatch)
        for index in 0..<shape.receiveBatch {
            var request = ibv_recv_wr()
            request.wr_id = VerbsShape.receiveMark
            request.next = index + 1 < shape.receiveBatch ? chain + index + 1 : nil
            (chain + index).initialize(to: request)
        }
        return chain
    }()

    /// Posts `shape.receiveBatch` receives.
    func postReceives() throws(VerbsError) {
        var bad: UnsafeMutablePointer<ibv_recv_wr>?
        let code = ibv_post_recv(pair, receiveChain, &bad)
        try verbsCheck(code < 0 ? errno : code, "post receives")
    }

    /// What travels with a connect or an accept, and the bounds that go with it.
    func parameters(_ data: UnsafeBufferPointer<UInt8>) -> rdma_conn_param {
        var parameters = rdma_conn_param()
        parameters.private_data = UnsafeRawPointer(data.baseAddress)
        parameters.private_data_len = UInt8(data.count)
        parameters.retry_count = VerbsBounds.retryCount
        parameters.rnr_retry_count = VerbsBounds.notReadyRetryCount
        return parameters
    }
}

/// How many of each a connection's queues hold.
struct VerbsShape {
    /// The work request's name of every receive.
    static let receiveMark = UInt64.max
    /// Posted sends at most whose end is not known.
    let sends: Int
    /// Of so many sends one tells of its end, and with it of all before it; a power of two.
    let sendsPerSignal: Int
    /// Posted receives at most; at least `slotCount` of them are at any time.
    let receives: Int
    /// Receives are posted so many at once.
    let receiveBatch: Int
    /// Every work request may end with a completion, when the connection breaks.
    var completions: CInt { CInt(sends + receives + 1) }

    init(slotCount: Int, limits: ibv_device_attr) throws(VerbsError) {
        let most = Int(limits.max_qp_wr)
        sends = min(2 * slotCount + 16, most)
        sendsPerSignal = max(1, slotCount / 2)
        let batch = min(64, slotCount)
        // Whole batches, and one less is still enough for all slots.
        (receives, receiveBatch) = slotCount + batch <= most ? (slotCount + batch, batch) : (slotCount, 1)
        guard sends >= slotCount + sendsPerSignal + 2, receives <= most, sends + receives + 1 <= Int(limits.max_cqe)
        else {
            throw VerbsError(
                "the device takes \(most) work requests and \(limits.max_cqe) completions, which is too few for "
                    + "\(slotCount) slots", code: EINVAL)
        }
    }
}
