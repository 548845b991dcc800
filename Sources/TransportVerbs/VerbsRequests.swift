internal import CRDMA
internal import FallowWire

/// The work requests of one connection's sends, made once: one a slot, and an empty one. A send fills in what differs.
///
/// Nothing links them until several are chained, to be posted with one doorbell.
final class VerbsRequests {
    private let messages: UnsafeMutablePointer<ibv_send_wr>
    private let elements: UnsafeMutablePointer<ibv_sge>
    private let nothing: UnsafeMutablePointer<ibv_send_wr>
    private let inlineBytes: Int
    /// Of so many sends, less one, one tells of its end; they are a power of two.
    private let signalMask: UInt64
    /// The number of the last empty one.
    private(set) var probeNumber: UInt64 = 0

    init(_ link: VerbsLink, peer: VerbsWindow, slotCount: Int) {
        inlineBytes = link.inlineBytes
        signalMask = UInt64(link.shape.sendsPerSignal - 1)
        messages = .allocate(capacity: slotCount)
        elements = .allocate(capacity: slotCount)
        nothing = .allocate(capacity: 1)
        for slot in 0..<slotCount {
            (elements + slot).initialize(
                to: ibv_sge(
                    addr: UInt64(UInt(bitPattern: link.outgoingBase + slot * link.outgoingStride)), length: 0,
                    lkey: link.outgoingKey))
            var request = ibv_send_wr()
            request.sg_list = elements + slot
            request.num_sge = 1
            request.opcode = IBV_WR_RDMA_WRITE_WITH_IMM
            request.wr.rdma.remote_addr = peer.address &+ UInt64(slot &* link.outgoingStride)
            request.wr.rdma.rkey = peer.key
            (messages + slot).initialize(to: request)
        }
        var request = ibv_send_wr()
        request.opcode = IBV_WR_RDMA_WRITE
        request.send_flags = IBV_SEND_SIGNALED.rawValue
        request.wr.rdma.remote_addr = peer.address
        request.wr.rdma.rkey = peer.key
        nothing.initialize(to: request)
    }
    deinit {
        messages.deallocate()
        elements.deallocate()
        nothing.deallocate()
    }

    /// The request for a message, ready to be posted.
    /// - Parameter number: which of the connection's sends it will be, from 1.
    func message(
        slot: Int, sequence: UInt32, byteCount: Int, number: UInt64
    ) -> UnsafeMutablePointer<ibv_send_wr> {
        let request = messages + slot
        elements[slot].length = UInt32(byteCount)
        request.pointee.wr_id = number
        request.pointee.next = nil
        request.pointee.imm_data = sequence.bigEndian
        request.pointee.send_flags =
            (byteCount <= inlineBytes ? IBV_SEND_INLINE.rawValue : 0)
            | (number & signalMask == 0 ? IBV_SEND_SIGNALED.rawValue : 0)
        return request
    }

    /// The request for a write of nothing, which tells of its end.
    func empty(number: UInt64) -> UnsafeMutablePointer<ibv_send_wr> {
        nothing.pointee.wr_id = number
        probeNumber = number
        return nothing
    }
}
