internal import CFabric
public import FallowTransport
internal import Glibc
internal import TransportHandshake

/// A donor's memory on another node: one-sided reads and writes over libfabric's connected endpoints.
///
/// A write completes when it has been delivered (FI_DELIVERY_COMPLETE). Where the provider wants local memory registered,
/// small buffers are copied through memory that is registered once, and large ones are registered for the operation. No
/// thread of libfabric's runs: the provider makes progress while this side polls. A donor that dies is seen at once, one whose
/// network is cut within about 2 s; one that is merely stopped is not lost, and its operations stay in flight.
public struct FabricMemoryEndpoint: ~Copyable, MemoryEndpoint, @unchecked Sendable {
    private struct Operation {
        var token: UInt64 = 0
        var isUnderWay = false
        /// Where a read's bytes go from the bounce memory.
        var destination: UnsafeMutableRawBufferPointer?
        var registration: FabricRegistration?
    }

    private static var depth: Int { 64 }
    private static var entryCount: Int { 16 }
    /// Polls in vain between two looks at the connection's events; a power of two.
    private static var idlePollsPerLook: UInt32 { 64 }

    public let capacityBytes: Int
    private let pipe: FabricPipe
    private let peer: FabricWindow
    private let bounce: FabricBounce?
    private let operations: UnsafeMutablePointer<Operation>
    /// Free operations, a stack of indices.
    private let free: UnsafeMutablePointer<Int>
    private var freeCount = Self.depth
    /// Operations that are over and not yet polled, a ring of indices; and whether they are good.
    private let finished: UnsafeMutablePointer<(index: Int, isGood: Bool)>
    private var firstFinished = 0
    private var finishedCount = 0
    private let entries: UnsafeMutablePointer<fi_cq_data_entry>
    private var idlePolls: UInt32 = 0
    public private(set) var isOver = false

    init(_ pipe: FabricPipe, peer: FabricWindow, capacityBytes: Int, bounce: FabricBounce?) {
        self.pipe = pipe
        self.peer = peer
        self.capacityBytes = capacityBytes
        self.bounce = bounce
        operations = .allocate(capacity: Self.depth)
        operations.initialize(repeating: Operation(), count: Self.depth)
        free = .allocate(capacity: Self.depth)
        for index in 0..<Self.depth { free[index] = Self.depth - 1 - index }
        finished = .allocate(capacity: Self.depth)
        entries = .allocate(capacity: Self.entryCount)
    }

    deinit {
        pipe.closeEndpoint()
        operations.deinitialize(count: Self.depth)
        operations.deallocate()
        free.deallocate()
        finished.deallocate()
        entries.deallocate()
    }

    public var depth: Int { Self.depth }
    public var inFlight: Int { Self.depth - freeCount }

    public mutating func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try check(offset: offset, count: buffer.count)
        let index = try begin(token)
        var local = buffer.baseAddress
        var descriptor: UnsafeMutableRawPointer?
        if let bounce {
            if buffer.count <= FabricBounce.slotBytes {
                local = bounce.slot(index)
                descriptor = bounce.descriptor
                operations[index].destination = buffer
            } else {
                descriptor = try register(buffer.baseAddress, buffer.count, UInt64(FI_READ), index)
            }
        }
        let result = cfabric_rma_read(
            pipe.endpoint, local, buffer.count, descriptor, peer.address &+ UInt64(offset), peer.key,
            UnsafeMutableRawPointer(bitPattern: index + 1))
        try posted(result, index)
    }

    public mutating func write(
        from buffer: UnsafeRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try check(offset: offset, count: buffer.count)
        let index = try begin(token)
        var local = buffer.baseAddress
        var descriptor: UnsafeMutableRawPointer?
        if let bounce, let start = local {
            if buffer.count <= FabricBounce.slotBytes {
                bounce.slot(index).copyMemory(from: start, byteCount: buffer.count)
                local = UnsafeRawPointer(bounce.slot(index))
                descriptor = bounce.descriptor
            } else {
                descriptor = try register(
                    UnsafeMutableRawPointer(mutating: start), buffer.count, UInt64(FI_WRITE), index)
            }
        }
        let result = cfabric_rma_write(
            pipe.endpoint, local, buffer.count, descriptor, peer.address &+ UInt64(offset), peer.key,
            UnsafeMutableRawPointer(bitPattern: index + 1))
        try posted(result, index)
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
        _ start: UnsafeMutableRawPointer?, _ count: Int, _ access: UInt64, _ index: Int
    ) throws(TransportError) -> UnsafeMutableRawPointer? {
        do throws(FabricError) {
            guard let start else { throw FabricError("a buffer is nowhere", code: EINVAL) }
            let registration = try FabricRegistration("a buffer", start, bytes: count, access: access, with: pipe)
            operations[index].registration = registration
            return registration.descriptor
        } catch {
            giveBack(index)
            throw .system(code: error.code)
        }
    }

    private mutating func posted(_ result: Int, _ index: Int) throws(TransportError) {
        guard result != 0 else { return }
        giveBack(index)
        if result == -Int(EAGAIN) {
            // The provider's own queue is full; it has to work before it takes more.
            progress()
            throw .ringFull
        }
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
        guard finishedCount > 0 else {
            idlePolls &+= 1
            if idlePolls & (Self.idlePollsPerLook &- 1) == 0 { lookAtEvents() }
            if finishedCount == 0 { return nil }
            return poll()
        }
        let (index, isGood) = finished[firstFinished]
        firstFinished = (firstFinished + 1) % Self.depth
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
        guard pipe.mayWait else { return false }
        descriptors.append(pipe.completionsDescriptor)
        descriptors.append(pipe.events.descriptor)
        return true
    }

    public mutating func close() { fail() }

    /// Has the provider work, and counts what completed. Never blocks.
    private mutating func progress() {
        while !isOver {
            let count = fi_cq_read(pipe.completions, entries, Self.entryCount)
            if count == -Int(EAGAIN) || count == 0 { return }
            guard count > 0 else {
                var error = fi_cq_err_entry()
                _ = fi_cq_readerr(pipe.completions, &error, 0)
                return fail()
            }
            for entry in 0..<count {
                let index = Int(bitPattern: entries[entry].op_context) - 1
                guard (0..<Self.depth).contains(index), operations[index].isUnderWay else { continue }
                finish(index, isGood: true)
            }
            if count < Self.entryCount { return }
        }
    }

    private mutating func finish(_ index: Int, isGood: Bool) {
        if isGood, let to = operations[index].destination, let bounce {
            to.copyMemory(from: UnsafeRawBufferPointer(start: bounce.slot(index), count: to.count))
        }
        operations[index].isUnderWay = false
        operations[index].registration = nil
        finished[(firstFinished + finishedCount) % Self.depth] = (index, isGood)
        finishedCount += 1
    }

    private mutating func lookAtEvents() {
        guard !isOver, let event = pipe.events.next() else { return }
        if case .connected = event { return }
        fail()
    }

    /// Everything in flight is over, and no buffer of it is touched any more.
    private mutating func fail() {
        guard !isOver else { return }
        isOver = true
        pipe.closeEndpoint()
        for index in 0..<Self.depth where operations[index].isUnderWay { finish(index, isGood: false) }
    }
}
