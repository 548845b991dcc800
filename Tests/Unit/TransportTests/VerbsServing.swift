import FallowModel
import FallowTransport
import TransportTesting
import TransportVerbs

/// A listener over RDMA whose accepting runs in a thread until the object goes; it serves whom it accepts.
final class VerbsServing: Sendable {
    let listener: VerbsListener
    private let thread: PeerThread

    /// - Parameter freeing: whether a worker may be connected to again once its client has gone.
    init(workers: Int = 1, freeing: Bool = false) throws {
        let listener = try VerbsListener(
            bindAddress: RDMAHere.server, leaseID: someLease, secret: someSecret, geometry: smallGeometry,
            workers: workers)
        self.listener = listener
        thread = PeerThread {
            var servers: [PeerThread] = []
            while true {
                do throws(TransportError) {
                    let handover = Handover(try listener.acceptNext(timeout: .milliseconds(100)))
                    servers.append(
                        PeerThread {
                            let accepted = handover.take()
                            let worker = accepted.worker
                            var endpoint = accepted.takeEndpoint()
                            try? serveEcho(&endpoint, .sleeping, timeout: RDMAHere.patience)
                            endpoint.close()
                            if freeing { listener.free(worker: worker) }
                        })
                } catch {
                    if error == .peerLost { break }
                }
            }
            for server in servers { server.join() }
        }
    }
    func end() {
        listener.close()
        thread.join()
    }

    /// One whole exchange as a client should be able to have it.
    func exchange(worker: Int = 0, secret: [UInt8] = someSecret, lease: LeaseID = someLease) throws {
        var caller = Caller(
            try RDMAHere.connector(to: listener.address, secret: secret, lease: lease)
                .connect(worker: worker, timeout: RDMAHere.patience))
        try caller.send(77)
        try caller.receive(77)
        caller.endpoint.close()
    }
}
