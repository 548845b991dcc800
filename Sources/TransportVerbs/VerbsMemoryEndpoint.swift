internal import CRDMA
public import FallowModel
public import FallowTransport
internal import Glibc
internal import TransportHandshake

/// A donor's memory on another node over RDMA: one-sided READ and WRITE, served by the donor's device alone.
///
/// Buffers of up to `VerbsBounce.slotBytes` are copied through memory that is registered once, larger ones are registered for the
/// operation. A donor that dies is seen at once; one whose network is cut when something is asked of it, within 2 s; one
/// that is merely stopped goes on serving.
public struct VerbsMemoryEndpoint: ~Copyable, MemoryEndpoint, @unchecked Sendable {
    private struct Operation {
        var token: UInt64 = 0
        var isUnderWay = false
        /// Work requests that it takes.
        var requests = 0
        /// Where a read's bytes go from the bounce memory.
        var destination: UnsafeMutableRawBufferPointer?
        var registration: VerbsRegistration?
    }

    private static var entryCount: Int { 16 }
    /// Polls in vain between two looks at the connection's events; a power of two.
    private static var idlePollsPerLook: UInt32 { 64 }

    public let capacityBytes: Int
    public let depth: Int
    private let link: VerbsBorrowerLink
    private let peer: VerbsWindow
    private let operations: UnsafeMutablePointer<Operation>
    /// Free operations, a stack of indices.
    private let free: UnsafeMutablePointer<Int>
    private var freeCount: Int
    /// Work requests that the queue pair has taken and not ended.
    private var requestsInFlight = 0
    /// Operations that are over and not yet polled, a ring of indices; and whether they are good.
    private let finished: UnsafeMutablePointer<(index: Int, isGood: Bool)>
    private var firstFinished = 0
    private var finishedCount = 0
    private let entries: UnsafeMutablePointer<ibv_wc>
    private var idlePolls: UInt32 = 0
    private var isArmed = false
    public private(set) var isOver = false

    /// Connects to a donor. Blocks, at most for `timeout`.
    /// - Parameters:
    ///   - address: the donor's "host:port".
    ///   - secret: the lease's, 32 bytes.
    ///   - capacityBytes: what the donor lends; it has to agree.
    ///   - source: this node's address to come from; nil leaves it to the routes.
    /// - Throws: as `VerbsConnector.connect`.
    public static func connect(
        address: String, leaseID: LeaseID, secret: [UInt8], capacityBytes: Int, source: String? = nil,
        timeout: Duration
    ) throws(TransportError) -> VerbsMemoryEndpoint {
        guard capacityBytes > 0, secret.count == ProofKey.secretBytes else { throw .system(code: EINVAL) }
        let way = VerbsWay<VerbsBorrowerLink>(
            address: address, source: source,
            introduction: VerbsIntroduction(
                leaseID: leaseID, secret: secret, address: address, capacityBytes: capacityBytes)
        ) { (id, domain) throws(VerbsError) in try VerbsBorrowerLink(id, domain: domain) }
        let (link, window) = try way.connect(worker: 0, until: MonotonicDeadline(in: timeout.nanoseconds))
        return VerbsMemoryEndpoint(link, peer: window, capacityBytes: capacityBytes)
    }

    private init(_ link: VerbsBorrowerLink, peer: VerbsWindow, capacityBytes: Int) {
        self.link = link
        self.peer = peer
        self.capacityBytes = capacityBytes
        depth = VerbsBorrowerLink.depth
        freeCount = depth
        operations = .allocate(capacity: depth)
        operations.initialize(repeating: Operation(), count: depth)
        free = .allocate(capacity: depth)
        for index in 0..<depth { free[index] = depth - 1 - index }
        finished = .allocate(capacity: depth)
        entries = .allocate(capacity: Self.entryCount)
    }

    deinit {
        link.connection.close()
        operations.deinitialize(count: depth)
        operations.deallocate()
        free.deallocate()
        finished.deallocate()
        entries.deallocate()
    }

    public var inFlight: Int { depth - freeCount }

    public mutating func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try check(offset: offset, count: buffer.count)
        let index = try begin(token)
        if buffer.count <= VerbsBounce.slotBytes {
            operations[index].destination = buffer
            try post(IBV_WR_RDMA_READ, link.bounce.slot(index), buffer.count, link.bounce.key, offset, index)
        } else {
            let key = try register(buffer, [IBV_ACCESS_LOCAL_WRITE], index)
            try post(IBV_WR_RDMA_READ, buffer.baseAddress, buffer.count, key, offset, index)
        }
    }

    public mutating func write(
        from buffer: UnsafeRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try check(offset: offset, count: buffer.count)
        let index = try begin(token)
        if buffer.count <= VerbsBounce.slotBytes {
            let slot = link.bounce.slot(index)
            UnsafeMutableRawBufferPointer(start: slot, count: buffer.count).copyMemory(from: buffer)
            try post(IBV_WR_RDMA_WRITE, slot, buffer.count, link.bounce.key, offset, index)
        } else {
            // The device only reads it.
            let key = try register(UnsafeMutableRawBufferPointer(mutating: buffer), [], index)
            try post(IBV_WR_RDMA_WRITE, buffer.baseAddress, buffer.count, key, offset, index)
        }
    }

    private mutating func begin(_ token: UInt64) throws(TransportError) -> Int {
        guard !isOver else { throw .peerLost }
        guard freeCount > 0 else { throw .ringFull }
        freeCount -= 1
        let index = free[freeCount]
        operations[index] = Operation(token: token, isUnderWay: true)
        return index
    }

    private mutating func register(
        _ buffer: UnsafeMutableRawBufferPointer, _ access: [ibv_access_flags], _ index: Int
    ) throws(TransportError) -> UInt32 {
        do throws(VerbsError) {
            let registration = try VerbsRegistration(buffer, access: access, domain: link.connection.domain)
            operations[index].registration = registration
            return registration.localKey
        } catch {
            giveBack(index)
            throw .system(code: error.code)
        }
    }

    /// One work request for each `segmentBytes`, with one doorbell for all; the last one's end is everybody's, since they end in
    /// their order.
    private mutating func post(
        _ operation: ibv_wr_opcode, _ local: UnsafeRawPointer?, _ count: Int, _ key: UInt32, _ offset: Int, _ index: Int
    ) throws(TransportError) {
        let segments = (count + VerbsBorrowerLink.segmentBytes - 1) / VerbsBorrowerLink.segmentBytes
        guard requestsInFlight + segments <= VerbsBorrowerLink.sends else {
            giveBack(index)
            throw segments > VerbsBorrowerLink.sends
                ? .oversize(limitBytes: VerbsBorrowerLink.sends * VerbsBorrowerLink.segmentBytes) : .ringFull
        }
        for segment in 0..<segments {
            let start = segment * VerbsBorrowerLink.segmentBytes
            link.elements[segment] = ibv_sge(
                addr: UInt64(UInt(bitPattern: local)) + UInt64(start),
                length: UInt32(min(VerbsBorrowerLink.segmentBytes, count - start)), lkey: key)
            var request = ibv_send_wr()
            request.wr_id = UInt64(index)
            request.sg_list = link.elements + segment
            request.num_sge = 1
            request.opcode = operation
            request.wr.rdma.remote_addr = peer.address &+ UInt64(offset + start)
            request.wr.rdma.rkey = peer.key
            if segment + 1 < segments {
                request.next = link.requests + segment + 1
            } else {
                request.send_flags = IBV_SEND_SIGNALED.rawValue
            }
            link.requests[segment] = request
        }
        operations[index].requests = segments
        requestsInFlight += segments
        var bad: UnsafeMutablePointer<ibv_send_wr>?
        guard ibv_post_send(link.connection.pointer, link.requests, &bad) != 0 else { return }
        giveBack(index)
        fail()
        throw .peerLost
    }

    private mutating func giveBack(_ index: Int) {
        operations[index] = Operation()
        free[freeCount] = index
        freeCount += 1
    }

    public mutating func poll() -> MemoryCompletion? {
        if finishedCount == 0 { progress() }
        if finishedCount == 0 {
            idlePolls &+= 1
            if idlePolls & (Self.idlePollsPerLook &- 1) == 0 { lookAtEvents() }
            if finishedCount == 0 { return nil }
        }
        let (index, isGood) = finished[firstFinished]
        firstFinished = (firstFinished + 1) % depth
        finishedCount -= 1
        let token = operations[index].token
        giveBack(index)
        return MemoryCompletion(token: token, error: isGood ? nil : .peerLost)
    }

    public mutating func beginSleep(_ descriptors: inout [Int32]) -> Bool {
        progress()
        lookAtEvents()
        guard finishedCount == 0 else { return false }
        guard !isOver else { return true }
        if isArmed, crdma_drain_comp_channel(link.connection.completionChannel) > 0 { isArmed = false }
        if !isArmed {
            guard ibv_req_notify_cq(link.connection.queue, 0) == 0 else {
                fail()
                return finishedCount == 0
            }
            isArmed = true
            // What completed before the channel was asked to tell is seen by one more look.
            progress()
            guard finishedCount == 0 else { return false }
        }
        descriptors.append(link.connection.completionChannel.pointee.fd)
        descriptors.append(link.connection.id.events.descriptor)
        return true
    }

    public mutating func close() { fail() }

    /// Takes what the device has completed. Never blocks.
    private mutating func progress() {
        while !isOver {
            let count = Int(ibv_poll_cq(link.connection.queue, CInt(Self.entryCount), entries))
            guard count >= 0 else { return fail() }
            for entry in UnsafeBufferPointer(start: entries, count: count) {
                let index = Int(entry.wr_id)
                guard entry.status == IBV_WC_SUCCESS else { return fail() }
                guard (0..<depth).contains(index), operations[index].isUnderWay else { continue }
                finish(index, isGood: true)
            }
            if count < Self.entryCount { return }
        }
    }

    private mutating func finish(_ index: Int, isGood: Bool) {
        if isGood, let to = operations[index].destination {
            to.copyMemory(from: UnsafeRawBufferPointer(start: link.bounce.slot(index), count: to.count))
        }
        operations[index].isUnderWay = false
        operations[index].registration = nil
        requestsInFlight -= operations[index].requests
        finished[(firstFinished + finishedCount) % depth] = (index, isGood)
        finishedCount += 1
    }

    private mutating func lookAtEvents() {
        guard !isOver, let event = link.connection.id.events.next() else { return }
        switch event {
        case .ended, .unreachable, .rejected: fail()
        case .connected, .request, .addressResolved, .routeResolved, .other: break
        }
    }

    /// Everything in flight is over, and no buffer of it is touched any more.
    private mutating func fail() {
        guard !isOver else { return }
        isOver = true
        // Destroys the queue pair: from then on the device neither reads nor writes for it.
        link.connection.close()
        for index in 0..<depth where operations[index].isUnderWay { finish(index, isGood: false) }
    }
}

/// A borrower's end of a connection to a donor: nothing of it is open to the peer.
final class VerbsBorrowerLink: VerbsOpened, @unchecked Sendable {
    /// Operations in flight at most.
    static let depth = 64
    /// Work requests in flight at most.
    static let sends = 2 * depth
    /// Most bytes of a work request: a device tries one again as a whole, and holds others up meanwhile.
    static let segmentBytes = 1 << 20

    let connection: VerbsPair
    let bounce: VerbsBounce
    /// What is posted at once.
    let requests: UnsafeMutablePointer<ibv_send_wr>
    let elements: UnsafeMutablePointer<ibv_sge>
    var window: VerbsWindow { .nowhere }

    init(_ id: VerbsID, domain: VerbsDomain) throws(VerbsError) {
        guard domain.limits.max_qp_wr >= Self.sends else {
            throw VerbsError("the device takes \(domain.limits.max_qp_wr) work requests, too few", code: EINVAL)
        }
        bounce = try VerbsBounce(slots: Self.depth, domain: domain)
        connection = try VerbsPair(id, domain: domain, sends: Self.sends, receives: 1, inlineBytes: [0])
        requests = .allocate(capacity: Self.sends)
        elements = .allocate(capacity: Self.sends)
    }

    deinit {
        // Before the registration goes.
        connection.close()
        requests.deallocate()
        elements.deallocate()
    }
}

/// Registered memory through which small buffers go: to register them one by one would cost more than a copy.
final class VerbsBounce {
    static let slotBytes = 65536

    private let memory: VerbsMemory
    private let registration: VerbsRegistration

    init(slots: Int, domain: VerbsDomain) throws(VerbsError) {
        memory = try VerbsMemory(byteCount: slots * Self.slotBytes)
        registration = try VerbsRegistration(memory.bytes, access: [IBV_ACCESS_LOCAL_WRITE], domain: domain)
    }

    var key: UInt32 { registration.localKey }
    func slot(_ index: Int) -> UnsafeMutableRawPointer { memory.bytes.baseAddress! + index * Self.slotBytes }
}
