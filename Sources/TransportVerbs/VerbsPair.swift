internal import CRDMA

/// A connection of its own on the device: a reliable queue pair on a connection manager's id, and one completion queue for
/// sends and receives, so that one look sees everything.
package final class VerbsPair: @unchecked Sendable {
    let id: VerbsID
    let domain: VerbsDomain
    let pointer: UnsafeMutablePointer<ibv_qp>
    let queue: UnsafeMutablePointer<ibv_cq>
    let completionChannel: UnsafeMutablePointer<ibv_comp_channel>
    /// Most bytes that a send can carry within its work request.
    let inlineBytes: Int
    /// Reads that the device works on at once, each way; more of them wait in its queue.
    private let readsAtOnce: UInt8
    private var isOpen = true

    /// - Parameters:
    ///   - sends: posted at once at most; `receives` likewise. Each may end with a completion, when the connection breaks.
    ///   - inlineBytes: to be had within a work request, the more wanted first.
    init(
        _ id: VerbsID, domain: VerbsDomain, sends: Int, receives: Int, inlineBytes: [UInt32]
    ) throws(VerbsError) {
        guard id.context == domain.context else {
            throw VerbsError("the connection is on another device than the lease's others", code: EXDEV)
        }
        self.id = id
        self.domain = domain
        readsAtOnce = UInt8(max(0, min(domain.limits.max_qp_rd_atom, domain.limits.max_qp_init_rd_atom, 16)))
        var channel: UnsafeMutablePointer<ibv_comp_channel>?
        try verbsCheck(crdma_create_comp_channel(domain.context, &channel), "make a completion channel")
        guard let channel else { throw VerbsError("libibverbs made no completion channel", code: EIO) }
        var queue: UnsafeMutablePointer<ibv_cq>?
        do throws(VerbsError) {
            try verbsCheck(
                crdma_create_cq(domain.context, CInt(sends + receives + 1), channel, &queue),
                "make a completion queue")
            guard let queue else { throw VerbsError("libibverbs made no completion queue", code: EIO) }
            (pointer, self.inlineBytes) = try Self.make(
                id, domain, queue, sends: sends, receives: receives, inlineBytes: inlineBytes)
            self.queue = queue
            completionChannel = channel
        } catch {
            if let queue { crdma_destroy_cq(queue) }
            crdma_destroy_comp_channel(channel)
            throw error
        }
    }

    deinit {
        close()
        crdma_destroy_cq(queue)
        crdma_destroy_comp_channel(completionChannel)
    }

    /// Ends the connection: the device touches no memory on its behalf any more when this returns. Idempotent; by the owner's thread.
    func close() {
        guard isOpen else { return }
        isOpen = false
        crdma_destroy_qp(id.pointer)
    }

    private static func make(
        _ id: VerbsID, _ domain: VerbsDomain, _ queue: UnsafeMutablePointer<ibv_cq>, sends: Int, receives: Int,
        inlineBytes: [UInt32]
    ) throws(VerbsError) -> (UnsafeMutablePointer<ibv_qp>, inlineBytes: Int) {
        var code: CInt = EINVAL
        for bytes in inlineBytes {
            var wanted = ibv_qp_init_attr()
            wanted.qp_type = IBV_QPT_RC
            wanted.send_cq = queue
            wanted.recv_cq = queue
            wanted.cap = ibv_qp_cap(
                max_send_wr: UInt32(sends), max_recv_wr: UInt32(receives), max_send_sge: 1, max_recv_sge: 1,
                max_inline_data: bytes)
            code = crdma_create_qp(id.pointer, domain.pointer, &wanted)
            if code == 0, let pair = id.pointer.pointee.qp { return (pair, Int(wanted.cap.max_inline_data)) }
            // Devices say no to more inline bytes than they have.
            guard code == EINVAL || code == ENOMEM else { break }
        }
        throw VerbsError("verbs cannot make a queue pair for \(sends) sends", code: code)
    }

    /// What travels with a connect or an accept, and the bounds that go with it.
    func parameters(_ data: UnsafeBufferPointer<UInt8>) -> rdma_conn_param {
        var parameters = rdma_conn_param()
        parameters.private_data = UnsafeRawPointer(data.baseAddress)
        parameters.private_data_len = UInt8(data.count)
        parameters.responder_resources = readsAtOnce
        parameters.initiator_depth = readsAtOnce
        parameters.retry_count = VerbsBounds.retryCount
        parameters.rnr_retry_count = VerbsBounds.notReadyRetryCount
        return parameters
    }
}

/// What one end opens for a connection before it is there.
package protocol VerbsOpened: AnyObject, Sendable {
    var connection: VerbsPair { get }
    /// Where the peer may read or write; of no address and key where it may nowhere.
    var window: VerbsWindow { get }
}
