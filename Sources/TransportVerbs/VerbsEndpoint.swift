internal import CRDMA
public import FallowTransport
internal import FallowWire
internal import Glibc
internal import TransportHandshake

/// One side of a worker's connection over an RDMA device: a reliable queue pair, made by rdma_cm.
///
/// A message is one WRITE_WITH_IMM into the peer's slot, with its sequence as the immediate that the peer's completion
/// queue gets. There are no acknowledgements of ours beyond that: a reply proves that the request arrived, and the
/// request that reuses a slot proves that its reply did. Small messages travel inline; of the sends only some tell of
/// their end. A receive is posted for whatever the peer may send before it may send it. The device makes all progress.
///
/// What happens to a peer that ends, or whose network does, is in `VerbsBounds`. One that is merely stopped is not lost:
/// its device still acknowledges, and waits time out. Waiting lives in `VerbsEndpoint+Waiting.swift`.
public struct VerbsEndpoint: ~Copyable, Endpoint, @unchecked Sendable {
    let link: VerbsLink
    let peer: VerbsWindow
    let isClient: Bool
    private let mask: UInt32
    private let sendCredit: UInt32
    private let receiveCredit: UInt32
    /// Number of the next message out; of the next to hand out; of the next to come from the network.
    private var nextSent: UInt32
    private var nextReceived: UInt32
    private var nextArrived: UInt32
    /// Receives used up since the last were posted.
    private var usedReceives = 0
    private var idlePolls: UInt32 = 0
    var isOpen = true
    /// Why nothing more will arrive.
    var failure: TransportError?
    /// Sends posted, and how many of them have ended, as far as is known.
    private var posted: UInt64 = 0
    private var retired: UInt64 = 0
    var watch = VerbsWatch()
    /// Whether the completion channel will tell of the next completion.
    var isArmed = false
    /// Messages that were posted and not yet given to the device: their requests, chained.
    private var waiting: (first: UnsafeMutablePointer<ibv_send_wr>, last: UnsafeMutablePointer<ibv_send_wr>)?
    /// How often the device was told of something to send.
    package private(set) var doorbellCount: UInt64 = 0
    private let requests: VerbsRequests
    private let entries: UnsafeMutablePointer<ibv_wc>

    public let slotCount: Int
    public let outgoingCapacityBytes: Int
    public let incomingCapacityBytes: Int

    private static var entryCount: CInt { 16 }
    /// Polls in vain between two looks at the clock; a power of two.
    private static var idlePollsPerLook: UInt32 { 64 }

    package init(_ link: VerbsLink, peer: VerbsWindow, geometry: ArenaGeometry, isClient: Bool, firstSequence: UInt32) {
        self.link = link
        self.peer = peer
        self.isClient = isClient
        slotCount = geometry.slotCount
        mask = UInt32(geometry.slotCount - 1)
        sendCredit = isClient ? UInt32(geometry.slotCount) : 0
        receiveCredit = isClient ? 0 : UInt32(geometry.slotCount)
        outgoingCapacityBytes = InvocationLayout.headerBytes + (isClient ? geometry.inputBytes : geometry.outputBytes)
        incomingCapacityBytes = InvocationLayout.headerBytes + (isClient ? geometry.outputBytes : geometry.inputBytes)
        nextSent = firstSequence
        nextReceived = firstSequence
        nextArrived = firstSequence
        requests = VerbsRequests(link, peer: peer, slotCount: geometry.slotCount)
        entries = .allocate(capacity: Int(Self.entryCount))
    }

    deinit {
        if isOpen {
            Self.leave(link, requests, entries, posted: posted, retired: retired, isBroken: failure != nil)
        }
        entries.deallocate()
    }

    public func outgoing(_ slot: Int) -> UnsafeMutableRawPointer {
        link.outgoingBase + (slot & Int(mask)) &* link.outgoingStride
    }
    public func incoming(_ slot: Int) -> UnsafeRawPointer {
        UnsafeRawPointer(link.incomingBase + (slot & Int(mask)) &* link.incomingStride)
    }
    public func confirmRead() throws(TransportError) {}

    // MARK: Sending

    public mutating func send(sequence: UInt32, byteCount: Int) throws(TransportError) {
        try post(sequence: sequence, byteCount: byteCount)
        try flush()
    }

    public mutating func post(sequence: UInt32, byteCount: Int) throws(TransportError) {
        precondition(sequence == nextSent, "messages are sent in the order of their sequence")
        guard byteCount >= 0, byteCount <= outgoingCapacityBytes else {
            throw .oversize(limitBytes: outgoingCapacityBytes)
        }
        guard isOpen else { throw .peerLost }
        guard nextReceived &+ sendCredit != nextSent else { throw .ringFull }
        if posted &- retired >= UInt64(link.shape.sends) { try waitForRoom() }
        let request = requests.message(
            slot: Int(sequence & mask), sequence: sequence, byteCount: max(byteCount, InvocationLayout.headerBytes),
            number: posted &+ 1)
        posted &+= 1
        nextSent = sequence &+ 1
        guard let chain = waiting else {
            waiting = (request, request)
            return
        }
        chain.last.pointee.next = request
        waiting = (chain.first, request)
    }

    public mutating func flush() throws(TransportError) {
        guard let chain = waiting else { return }
        waiting = nil
        try ring(chain.first)
    }

    /// Gives a chain of requests to the device: one doorbell.
    private mutating func ring(_ requests: UnsafeMutablePointer<ibv_send_wr>) throws(TransportError) {
        var bad: UnsafeMutablePointer<ibv_send_wr>?
        doorbellCount &+= 1
        guard ibv_post_send(link.pair, requests, &bad) == 0 else {
            fail(.peerLost)
            throw .peerLost
        }
    }

    /// Sends of which no end is known fill the device's queue, although what they were answered with has arrived: their
    /// acknowledgements are late. Presses on for a second.
    private mutating func waitForRoom() throws(TransportError) {
        try flush()
        let deadline = MonotonicDeadline(in: VerbsBounds.fullQueueNanoseconds)
        while posted &- retired >= UInt64(link.shape.sends) {
            progress()
            if let failure { throw failure }
            if deadline.hasPassed { throw .ringFull }
        }
    }

    /// Sends a write of no bytes that tells of its end, unless one is under way.
    mutating func probe() {
        guard isOpen, failure == nil, !watch.isProbing, posted &- retired < UInt64(link.shape.sends) else { return }
        watch.isProbing = true
        do throws(TransportError) {
            try flush()
            posted &+= 1
            try ring(requests.empty(number: posted))
        } catch {}  // `fail` has noted it
    }

    // MARK: Receiving

    public mutating func poll() throws(TransportError) -> Arrival? {
        if nextReceived == nextArrived { progress() }
        if nextReceived != nextArrived { return try receive() }
        idlePolls &+= 1
        if idlePolls & (Self.idlePollsPerLook &- 1) == 0 { look() }
        if failure != nil || !isOpen { return try last() }
        return nil
    }

    var hasDeliverable: Bool { nextReceived != nextArrived }

    private mutating func receive() throws(TransportError) -> Arrival {
        guard nextSent &+ receiveCredit != nextReceived else {
            fail(.protocolViolation)
            throw .protocolViolation
        }
        // Before anything is sent that lets the peer send more.
        usedReceives += 1
        if usedReceives == link.shape.receiveBatch {
            usedReceives = 0
            do throws(VerbsError) { try link.postReceives() } catch { fail(.peerLost) }
        }
        defer { nextReceived &+= 1 }
        return Arrival(sequence: nextReceived)
    }

    /// After the end: what had arrived before it, then the reason.
    private mutating func last() throws(TransportError) -> Arrival? {
        progress()
        if nextReceived != nextArrived && isOpen { return try receive() }
        throw failure ?? .peerLost
    }

    /// Takes what the device has completed. Never blocks.
    mutating func progress() {
        while isOpen {
            let count = ibv_poll_cq(link.queue, Self.entryCount, entries)
            guard count > 0 else {
                if count < 0 { fail(.system(code: EIO)) }
                return
            }
            for index in 0..<Int(count) { take(entries + index) }
            if count < Self.entryCount { return }
        }
    }

    private mutating func take(_ entry: UnsafeMutablePointer<ibv_wc>) {
        guard entry.pointee.status == IBV_WC_SUCCESS else { return fail(Self.reason(entry.pointee.status)) }
        watch.hasHeard = true
        guard entry.pointee.wr_id == VerbsShape.receiveMark else {
            retired = entry.pointee.wr_id
            // What tells of its end: the probe, or something after it.
            watch.isProbing = watch.isProbing && retired < requests.probeNumber
            return
        }
        // The order of one connection; anything else is not our protocol, nor is more than there are slots.
        guard entry.pointee.opcode == IBV_WC_RECV_RDMA_WITH_IMM,
            UInt32(bigEndian: entry.pointee.imm_data) == nextArrived, nextArrived &- nextReceived < UInt32(slotCount)
        else { return fail(.protocolViolation) }
        nextArrived &+= 1
    }

    /// What a failed work request says of the peer.
    private static func reason(_ status: ibv_wc_status) -> TransportError {
        switch status {
        // Never acknowledged, or thrown away after the connection had broken.
        case IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_RESP_TIMEOUT_ERR, IBV_WC_REM_ABORT_ERR: .peerLost
        // Its window is not what it said, it had no receive where it gave credit, or it sent what is no message.
        case IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_INV_REQ_ERR, IBV_WC_REM_OP_ERR, IBV_WC_RNR_RETRY_EXC_ERR,
            IBV_WC_LOC_LEN_ERR, IBV_WC_LOC_ACCESS_ERR:
            .protocolViolation
        default: .system(code: EIO)
        }
    }

    mutating func fail(_ reason: TransportError) { if failure == nil { failure = reason } }

    // MARK: Leaving

    public mutating func close() {
        guard isOpen else { return }
        try? flush()
        isOpen = false
        Self.leave(link, requests, entries, posted: posted, retired: retired, isBroken: failure != nil)
    }

    /// Waits, bounded, until the peer has what was sent, since disconnecting throws away what it has not; then goes.
    private static func leave(
        _ link: VerbsLink, _ requests: VerbsRequests, _ entries: UnsafeMutablePointer<ibv_wc>, posted: UInt64,
        retired: UInt64, isBroken: Bool
    ) {
        defer { crdma_disconnect(link.id.pointer) }
        guard !isBroken, posted != retired, posted &- retired < UInt64(link.shape.sends) else { return }
        var bad: UnsafeMutablePointer<ibv_send_wr>?
        guard ibv_post_send(link.pair, requests.empty(number: posted &+ 1), &bad) == 0 else { return }
        let deadline = MonotonicDeadline(in: VerbsBounds.lingerNanoseconds)
        repeat {
            let count = ibv_poll_cq(link.queue, entryCount, entries)
            guard count >= 0 else { return }
            for entry in UnsafeBufferPointer(start: entries, count: Int(count)) {
                guard entry.status == IBV_WC_SUCCESS, entry.wr_id != posted &+ 1 else { return }
            }
            if case .ended? = link.id.events.next() { return }
        } while !deadline.hasPassed
    }
}
