internal import CRDMA
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// Everything of the device's that one connection owns, and its slots; given back in order when the last reference goes.
///
/// The peer may write where it was told: into this worker's incoming slots. It may read nothing, and nothing else of the
/// protection domain is open to it. Outgoing slots are registered for the device's own reading alone.
package final class VerbsLink: VerbsOpened, @unchecked Sendable {
    package let connection: VerbsPair
    let shape: VerbsShape
    let incomingBase: UnsafeMutableRawPointer
    let outgoingBase: UnsafeMutableRawPointer
    let incomingStride: Int
    let outgoingStride: Int
    /// Where the peer writes to reach us.
    package let window: VerbsWindow
    /// What the outgoing slots are named by in work requests.
    let outgoingKey: UInt32
    // The connection's own, at hand.
    let id: VerbsID
    let pair: UnsafeMutablePointer<ibv_qp>
    let queue: UnsafeMutablePointer<ibv_cq>
    let completionChannel: UnsafeMutablePointer<ibv_comp_channel>
    let inlineBytes: Int

    private let memory: VerbsMemory
    private let incomingRegion: VerbsRegistration
    private let outgoingRegion: VerbsRegistration

    init(_ id: VerbsID, domain: VerbsDomain, geometry: ArenaGeometry, isClient: Bool) throws(VerbsError) {
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

        let connection = try VerbsPair(
            id, domain: domain, sends: shape.sends, receives: shape.receives, inlineBytes: VerbsBounds.inlineBytes)
        self.connection = connection
        self.id = id
        pair = connection.pointer
        queue = connection.queue
        completionChannel = connection.completionChannel
        inlineBytes = connection.inlineBytes
        for _ in 0..<shape.receives / shape.receiveBatch { try postReceives() }
    }

    deinit {
        // Unregistered after the queue pair is gone, so that the peer never meets a window that is not there any more.
        connection.close()
        receiveChain.deallocate()
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
