internal import CRDMA
internal import Glibc
internal import TransportHandshake

/// A channel of the connection manager's events, and the descriptor to sleep on. Nothing here blocks unless it says so.
final class VerbsEvents: @unchecked Sendable {
    let channel: UnsafeMutablePointer<rdma_event_channel>
    var descriptor: CInt { channel.pointee.fd }

    enum Event {
        case request(VerbsID, data: [UInt8])
        case addressResolved, routeResolved
        case connected(data: [UInt8])
        /// By the peer's program, with its words, or by the machine it runs on, with a reason of InfiniBand's.
        case rejected(reason: CInt, data: [UInt8])
        case unreachable(code: CInt)
        /// The peer disconnected, or the device is gone.
        case ended
        case other
    }

    init() throws(VerbsError) {
        try loadVerbs()
        var opened: UnsafeMutablePointer<rdma_event_channel>?
        try verbsCheck(crdma_open_event_channel(&opened), "open /dev/infiniband/rdma_cm")
        guard let opened else { throw VerbsError("librdmacm opened no event channel", code: EIO) }
        channel = opened
    }
    deinit { crdma_close_event_channel(channel) }

    /// The next event, if there is one. Never blocks.
    func next() -> Event? {
        var taken = crdma_event()
        guard crdma_next_event(channel, &taken) == 0 else { return nil }
        switch taken.type {
        case RDMA_CM_EVENT_CONNECT_REQUEST: return .request(VerbsID(taking: taken.id, self), data: taken.data)
        case RDMA_CM_EVENT_ADDR_RESOLVED: return .addressResolved
        case RDMA_CM_EVENT_ROUTE_RESOLVED: return .routeResolved
        case RDMA_CM_EVENT_ESTABLISHED: return .connected(data: taken.data)
        case RDMA_CM_EVENT_REJECTED: return .rejected(reason: taken.status, data: taken.data)
        case RDMA_CM_EVENT_ADDR_ERROR, RDMA_CM_EVENT_ROUTE_ERROR, RDMA_CM_EVENT_UNREACHABLE,
            RDMA_CM_EVENT_CONNECT_ERROR:
            return .unreachable(code: taken.status < 0 ? -taken.status : EHOSTUNREACH)
        case RDMA_CM_EVENT_DISCONNECTED, RDMA_CM_EVENT_DEVICE_REMOVAL: return .ended
        default: return .other
        }
    }

    /// Waits for the next event.
    /// - Returns: nil when the deadline passed.
    func next(until deadline: MonotonicDeadline) -> Event? {
        while true {
            if let event = next() { return event }
            let milliseconds = deadline.millisecondsLeft
            if milliseconds == 0 { return nil }
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&poller, 1, milliseconds)
        }
    }
}

extension crdma_event {
    fileprivate var data: [UInt8] {
        withUnsafeBytes(of: private_data) { Array($0.prefix(Int(private_data_bytes))) }
    }
}

/// One of the connection manager's ids; destroyed with this object, which keeps its channel. Its queue pair has to be
/// destroyed before.
final class VerbsID: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<rdma_cm_id>
    private(set) var events: VerbsEvents
    /// A connect that was to be accepted and came to nothing: to destroy its id may take long. Set by its one owner.
    var isAbandoned = false

    /// The device that the id is bound to; nil while it is to none.
    var context: UnsafeMutablePointer<ibv_context>? { pointer.pointee.verbs }

    init(_ events: VerbsEvents) throws(VerbsError) {
        var made: UnsafeMutablePointer<rdma_cm_id>?
        try verbsCheck(crdma_create_id(events.channel, &made), "make a connection's id")
        guard let made else { throw VerbsError("librdmacm made no id", code: EIO) }
        pointer = made
        self.events = events
    }
    init(taking pointer: UnsafeMutablePointer<rdma_cm_id>, _ events: VerbsEvents) {
        self.pointer = pointer
        self.events = events
    }
    deinit { if isAbandoned { VerbsBurial.bury(pointer, events) } else { crdma_destroy_id(pointer) } }

    /// Gives the id a channel of its own.
    func migrate(to other: VerbsEvents) throws(VerbsError) {
        try verbsCheck(crdma_migrate(pointer, other.channel), "move a connection to its own channel")
        events = other
    }
}
