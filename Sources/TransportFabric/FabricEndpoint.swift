internal import CFabric
internal import FallowModel
public import FallowTransport
internal import FallowWire
internal import Glibc
internal import TransportHandshake

/// One side of a worker's connection over libfabric's connected endpoints (provider tcp).
///
/// A message is one remote write into the peer's slot, with its sequence as the data that the peer's completion queue
/// gets. There are no acknowledgements beyond that: a reply proves that the request arrived, and the request that
/// reuses a slot proves that its reply did. No thread of libfabric's runs: the provider makes progress while this side
/// polls or sleeps. So that an executor does not leave the tail of a large reply behind while it works on the next
/// request, `poll` hands out no further request there until the replies before it have left this process.
///
/// A peer that ends is seen at once (its kernel closes the connection); one whose network is cut within about 2 s
/// (TCP_USER_TIMEOUT and keep-alive); one that is merely stopped is not lost: waits time out.
public struct FabricEndpoint: ~Copyable, Endpoint, @unchecked Sendable {
    let link: FabricLink
    let peer: FabricWindow
    let isClient: Bool
    let mask: UInt32
    let sendCredit: UInt32
    let receiveCredit: UInt32
    /// Number of the next message out; of the next to hand out; of the next to come from the network.
    private var nextSent: UInt32
    private var nextReceived: UInt32
    private var nextArrived: UInt32
    /// Large messages that the provider has not handed to the kernel whole.
    private var unfinishedSends = 0
    private var idlePolls: UInt32 = 0
    private var isOpen = true
    /// Why nothing more will arrive.
    private var failure: TransportError?
    private let outgoingDescriptor: UnsafeMutableRawPointer?
    private let entries: UnsafeMutablePointer<fi_cq_data_entry>

    public let slotCount: Int
    public let outgoingCapacityBytes: Int
    public let incomingCapacityBytes: Int

    private static var entryCount: Int { 16 }
    /// Polls in vain between two looks at the connection's events; a power of two.
    private static var idlePollsPerLook: UInt32 { 64 }
    /// How long `send` presses on when the provider's queue is full.
    private static var fullQueueNanoseconds: Int64 { 1_000_000_000 }
    /// What surely fits a socket's buffer, in all slots together.
    private static var surelySentBytes: Int { 16384 }

    init(_ link: FabricLink, peer: FabricWindow, geometry: ArenaGeometry, isClient: Bool, firstSequence: UInt32) {
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
        outgoingDescriptor = link.outgoingDescriptor
        entries = .allocate(capacity: Self.entryCount)
    }

    deinit {
        if isOpen { fi_shutdown(link.endpoint, 0) }
        entries.deallocate()
    }

    public func outgoing(_ slot: Int) -> UnsafeMutableRawPointer {
        link.outgoingBase + (slot & Int(mask)) &* link.outgoingStride
    }
    public func incoming(_ slot: Int) -> UnsafeRawPointer {
        UnsafeRawPointer(link.incomingBase + (slot & Int(mask)) &* link.incomingStride)
    }
    public func confirmRead() throws(TransportError) {}

    public mutating func send(sequence: UInt32, byteCount: Int) throws(TransportError) {
        precondition(sequence == nextSent, "messages are sent in the order of their sequence")
        guard byteCount >= 0, byteCount <= outgoingCapacityBytes else {
            throw .oversize(limitBytes: outgoingCapacityBytes)
        }
        guard isOpen else { throw .peerLost }
        guard nextReceived &+ sendCredit != nextSent else { throw .ringFull }
        let slot = Int(sequence & mask)
        let wantsCompletion = byteCount * slotCount > Self.surelySentBytes
        // An empty message still carries its header's line: a write of nothing is not a write everywhere.
        let bytes = max(byteCount, InvocationLayout.headerBytes)
        var deadline: MonotonicDeadline?
        while true {
            let result = cfabric_write(
                link.endpoint, outgoing(slot), bytes, outgoingDescriptor,
                peer.address &+ UInt64(slot &* link.outgoingStride), peer.key, UInt64(sequence),
                wantsCompletion ? UInt64(FI_COMPLETION) : 0)
            if result == 0 { break }
            guard result == -Int(EAGAIN) else {
                fail(.peerLost)
                throw .peerLost
            }
            progress()
            if let failure { throw failure }
            if let deadline, deadline.hasPassed { throw .ringFull }
            if deadline == nil { deadline = MonotonicDeadline(in: Self.fullQueueNanoseconds) }
        }
        if wantsCompletion { unfinishedSends += 1 }
        nextSent = sequence &+ 1
    }

    public mutating func poll() throws(TransportError) -> Arrival? {
        if !hasDeliverable { progress() }
        if hasDeliverable { return try receive() }
        idlePolls &+= 1
        if idlePolls & (Self.idlePollsPerLook &- 1) == 0 { lookAtEvents() }
        if failure != nil || !isOpen { return try last() }
        return nil
    }

    private var hasDeliverable: Bool { nextReceived != nextArrived && (isClient || unfinishedSends == 0) }

    private mutating func receive() throws(TransportError) -> Arrival {
        guard nextSent &+ receiveCredit != nextReceived else {
            fail(.protocolViolation)
            throw .protocolViolation
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

    /// Has the provider work, and counts what arrived. Never blocks.
    private mutating func progress() {
        while isOpen {
            let count = fi_cq_read(link.completions, entries, Self.entryCount)
            if count == -Int(EAGAIN) || count == 0 { return }
            guard count > 0 else {
                var error = fi_cq_err_entry()
                _ = fi_cq_readerr(link.completions, &error, 0)
                return fail(.peerLost)
            }
            for index in 0..<count {
                let entry = entries[index]
                guard entry.flags & UInt64(FI_REMOTE_CQ_DATA) != 0 else {
                    unfinishedSends = max(unfinishedSends - 1, 0)
                    continue
                }
                // The order of one connection; anything else is not our protocol, nor is more than there are slots.
                guard entry.data == UInt64(nextArrived), nextArrived &- nextReceived < UInt32(slotCount) else {
                    return fail(.protocolViolation)
                }
                nextArrived &+= 1
            }
            if count < Self.entryCount { return }
        }
    }

    private mutating func lookAtEvents() {
        guard failure == nil, let event = link.events.next() else { return }
        switch event {
        case .shutdown, .failed: fail(.peerLost)
        case .request, .connected: fail(.protocolViolation)
        }
    }

    private mutating func fail(_ reason: TransportError) { if failure == nil { failure = reason } }

    public mutating func sleep(atMost timeout: Duration) throws(TransportError) -> Bool {
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        while true {
            progress()
            lookAtEvents()
            if hasDeliverable { return true }
            if failure != nil || !isOpen {
                progress()
                if nextReceived != nextArrived && isOpen { return true }
                throw failure ?? .peerLost
            }
            let milliseconds = deadline.millisecondsLeft
            if milliseconds == 0 { return false }
            link.pipe.wait(atMostMilliseconds: milliseconds)
        }
    }

    public mutating func close() {
        guard isOpen else { return }
        isOpen = false
        fi_shutdown(link.endpoint, 0)
    }
}
