public import FallowTransport
internal import FallowWire
public import Synchronization

/// One side of a worker's connection in an arena. Made by `ShmArena.endpoint(worker:side:)`.
///
/// Sending is one store that others can see (the doorbell, with sequentially consistent order) and one load of the
/// peer's sleeping word; polling is one load. The waiting and watching live in `ShmEndpoint+Waiting.swift`.
public struct ShmEndpoint: ~Copyable, Endpoint, @unchecked Sendable {
    @usableFromInline let outgoingBase: UnsafeMutableRawPointer
    @usableFromInline let incomingBase: UnsafeMutableRawPointer
    @usableFromInline let outgoingStride: Int
    @usableFromInline let incomingStride: Int
    @usableFromInline let mask: UInt32
    /// Slots the peer grants beyond the messages received: all for a client, none for an executor.
    @usableFromInline let sendCredit: UInt32
    /// Slots we grant beyond the messages sent: none for a client, all for an executor.
    @usableFromInline let receiveCredit: UInt32
    @usableFromInline let ended: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let reclaimed: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let peerSleeping: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let peerClosed: UnsafeMutablePointer<Atomic<UInt32>>
    /// Number of the next message out, and of the next in.
    @usableFromInline var nextSent: UInt32
    @usableFromInline var nextReceived: UInt32
    /// The doorbell of message `nextReceived`.
    @usableFromInline var nextDoorbell: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline var idlePolls: UInt32 = 0
    @usableFromInline var isOpen = true

    public let slotCount: Int
    public let outgoingCapacityBytes: Int
    public let incomingCapacityBytes: Int

    let arena: ShmArena
    let side: ShmSide
    let ownLine: ShmLine
    let peerLine: ShmLine
    let presence: ShmPresence
    var nextLookNanoseconds: UInt64 = 0

    @usableFromInline static var doorbellOffset: Int { 56 }
    /// Polls in vain between two looks at the control page; a power of two.
    @usableFromInline static var idlePollsPerLook: UInt32 { 256 }

    init(attachingTo arena: ShmArena, worker: Int, side: ShmSide, firstSequence: UInt32) throws(TransportError) {
        precondition(Self.doorbellOffset == InvocationLayout.transportWordOffset)
        precondition((0..<arena.workers).contains(worker), "the arena has \(arena.workers) workers")
        let layout = arena.layout
        let own = ShmLine(address: arena.base + layout.lineOffset(worker: worker, side: side))
        let presence = ShmPresence(descriptor: arena.descriptor, worker: worker)
        guard presence.claim(side) else { throw .refused }
        let (isFirst, _) = own.token.pointee.compareExchange(
            expected: 0, desired: ShmPresence.processToken, ordering: .sequentiallyConsistent)
        guard isFirst else { throw .refused }

        let input = arena.base + layout.inputOffset(worker: worker)
        let output = arena.base + layout.outputOffset(worker: worker)
        let geometry = arena.geometry
        let isClient = side == .client
        outgoingBase = isClient ? input : output
        incomingBase = isClient ? output : input
        outgoingStride = isClient ? geometry.inputStrideBytes : geometry.outputStrideBytes
        incomingStride = isClient ? geometry.outputStrideBytes : geometry.inputStrideBytes
        outgoingCapacityBytes = InvocationLayout.headerBytes + (isClient ? geometry.inputBytes : geometry.outputBytes)
        incomingCapacityBytes = InvocationLayout.headerBytes + (isClient ? geometry.outputBytes : geometry.inputBytes)
        slotCount = geometry.slotCount
        mask = UInt32(geometry.slotCount - 1)
        sendCredit = isClient ? UInt32(geometry.slotCount) : 0
        receiveCredit = isClient ? 0 : UInt32(geometry.slotCount)
        nextSent = firstSequence
        nextReceived = firstSequence
        nextDoorbell = Self.doorbell(incomingBase, incomingStride, firstSequence & mask)
        ended = (arena.base + ShmLayout.endedOffset).assumingMemoryBound(to: Atomic<UInt32>.self)
        reclaimed = (arena.base + ShmLayout.reclaimedOffset).assumingMemoryBound(to: Atomic<UInt32>.self)
        ownLine = own
        peerLine = ShmLine(address: arena.base + layout.lineOffset(worker: worker, side: side.other))
        peerSleeping = peerLine.sleeping
        peerClosed = peerLine.closed
        self.arena = arena
        self.side = side
        self.presence = presence
    }

    deinit { if isOpen { Self.leave(ownLine, peerLine, presence, side) } }

    @inlinable static func doorbell(
        _ base: UnsafeMutableRawPointer, _ stride: Int, _ slot: UInt32
    ) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + Int(slot) &* stride + doorbellOffset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inlinable static func ring(_ sequence: UInt32) -> UInt64 { 1 << 32 | UInt64(sequence) }

    @inlinable public func outgoing(_ slot: Int) -> UnsafeMutableRawPointer {
        outgoingBase + (slot & Int(mask)) &* outgoingStride
    }
    @inlinable public func incoming(_ slot: Int) -> UnsafeRawPointer {
        UnsafeRawPointer(incomingBase + (slot & Int(mask)) &* incomingStride)
    }

    @inlinable public mutating func send(sequence: UInt32, byteCount: Int) throws(TransportError) {
        let bell = try prepare(sequence: sequence, byteCount: byteCount)
        // The peer says that it sleeps and then looks at the doorbell; here the doorbell is rung before looking
        // whether it sleeps. All four accesses are sequentially consistent, so one side sees the other.
        bell.pointee.store(Self.ring(sequence), ordering: .sequentiallyConsistent)
        nextSent = sequence &+ 1
        if peerSleeping.pointee.load(ordering: .sequentiallyConsistent) != 0 { wakePeer() }
    }

    @inlinable public mutating func post(sequence: UInt32, byteCount: Int) throws(TransportError) {
        let bell = try prepare(sequence: sequence, byteCount: byteCount)
        bell.pointee.store(Self.ring(sequence), ordering: .releasing)
        nextSent = sequence &+ 1
    }

    @inlinable public mutating func flush() throws(TransportError) {
        // As in `send`, for all doorbells that were rung before.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if peerSleeping.pointee.load(ordering: .relaxed) != 0 { wakePeer() }
    }

    /// What `send` checks; gives the doorbell.
    @inlinable func prepare(
        sequence: UInt32, byteCount: Int
    ) throws(TransportError) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(sequence == nextSent, "messages are sent in the order of their sequence")
        guard byteCount >= 0, byteCount <= outgoingCapacityBytes else {
            throw .oversize(limitBytes: outgoingCapacityBytes)
        }
        guard isOpen else { throw .peerLost }
        guard nextReceived &+ sendCredit != nextSent else { throw .ringFull }
        return Self.doorbell(outgoingBase, outgoingStride, sequence & mask)
    }

    @inlinable public mutating func poll() throws(TransportError) -> Arrival? {
        if nextDoorbell.pointee.load(ordering: .acquiring) == Self.ring(nextReceived) { return try receive() }
        idlePolls &+= 1
        if idlePolls & (Self.idlePollsPerLook &- 1) == 0 { return try pollWithLook() }
        return nil
    }

    /// Takes message `nextReceived`, whose doorbell was seen.
    @inlinable mutating func receive() throws(TransportError) -> Arrival {
        guard nextSent &+ receiveCredit != nextReceived else { throw .protocolViolation }
        let arrival = Arrival(sequence: nextReceived)
        nextReceived &+= 1
        nextDoorbell = Self.doorbell(incomingBase, incomingStride, nextReceived & mask)
        return arrival
    }

    @inlinable public func confirmRead() throws(TransportError) {
        // The reads that are being confirmed come before this load.
        atomicMemoryFence(ordering: .acquiring)
        if reclaimed.pointee.load(ordering: .relaxed) != 0 { throw .peerLost }
    }

    @inlinable public var isPeerAsleep: Bool { peerSleeping.pointee.load(ordering: .relaxed) != 0 }
    @inlinable public var showsEnd: Bool? {
        ended.pointee.load(ordering: .relaxed) != 0 || peerClosed.pointee.load(ordering: .relaxed) != 0
    }
    public var buffers: UnsafeMutableRawBufferPointer { arena.buffers }
}
