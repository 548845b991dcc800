internal import CLinux
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// What is in flight on one worker's connection. Owned by a `WorkerCore`, under its lock.
///
/// Messages are answered in their order, so the ring is a queue: `next` is the number of the next message out, `oldest`
/// that of the oldest without a reply. A call that cannot be sent yet, because every slot is in flight or because the
/// executor has not yet given its function an index, waits in the backlog; it counts as in flight, and whoever takes in
/// a reply sends it, not its own thread.
struct Ring<Connection: Endpoint & ~Copyable>: ~Copyable {
    enum Message: UInt8 { case none, call, question }
    /// One message in flight.
    struct Entry {
        var id: UInt64 = 0
        /// The call, as long as somebody wants its result.
        var call: CallPointer?
        var message = Message.none
        var function: Int32 = 0
        /// What the late reply of a call that nobody wants any more sets free.
        var places = BufferPlaces.none
    }
    var endpoint: Connection
    let names: FunctionNames
    let buffers: BufferArea?
    let entries: UnsafeMutablePointer<Entry>
    let known: UnsafeMutablePointer<Int32>
    let mask: UInt32
    var next: UInt32 = 0
    var oldest: UInt32 = 0
    private var nextID: UInt64 = 1
    var backlog = Backlog()
    /// The watcher's call was settled by another thread: it has to be woken.
    var mustInterrupt = false

    let slotCount: Int
    /// Calls admitted and not settled.
    var callCount = 0
    var isOver = false

    init(endpoint: consuming Connection, names: FunctionNames, buffers: BufferArea?) {
        slotCount = endpoint.slotCount
        mask = UInt32(endpoint.slotCount - 1)
        entries = .allocate(capacity: endpoint.slotCount)
        entries.initialize(repeating: Entry(), count: endpoint.slotCount)
        known = .allocate(capacity: FunctionNames.capacity)
        known.initialize(repeating: Known.unasked, count: FunctionNames.capacity)
        self.endpoint = endpoint
        self.names = names
        self.buffers = buffers
    }

    deinit {
        entries.deallocate()
        known.deallocate()
    }

    @inline(__always) var hasCredit: Bool { next &- oldest < UInt32(slotCount) }
    /// Whether calls wait for their function's index, and nothing but the question is in the way.
    var isAskingOnly: Bool { backlog.count > 0 && backlog.count == callCount }

    /// Sends a call, or keeps it until there is a slot and its function is known. Rings no doorbell.
    @inline(__always)
    mutating func admit(_ call: CallPointer) throws(TransportError) {
        callCount += 1
        let index = known[Int(call.pointee.function)]
        if index >= 0, hasCredit, backlog.isEmpty {
            try post(call, index: index)
        } else {
            backlog.append(call)
            try postBacklog()
        }
    }

    /// Looks once for replies, and settles all that have come.
    /// - Returns: whether there were any.
    @inline(__always)
    mutating func receive() throws(TransportError) -> Bool {
        guard let arrival = try endpoint.poll() else { return false }
        try settle(arrival)
        while oldest != next, let more = try endpoint.poll() { try settle(more) }
        if !backlog.isEmpty {
            try postBacklog()
            try endpoint.flush()
        }
        return true
    }

    /// Polls, up to `polls` times while nothing comes.
    mutating func receive(polls: Int) throws(TransportError) {
        for _ in 0..<polls {
            if try receive() { return }
            clinux_pause()
        }
    }

    @inline(__always)
    private mutating func post(_ call: CallPointer, index: Int32) throws(TransportError) {
        let slot = Int(next & mask)
        let memory = endpoint.outgoing(slot)
        let places = call.pointee.places
        let inputBytes = call.pointee.inputBytes
        RequestHeader(
            invocationID: nextID, function: UInt32(bitPattern: index), payloadBytes: UInt64(inputBytes),
            resultCapacityBytes: UInt64(call.pointee.capacityBytes), placement: places.told,
            inputOffset: places.inputOffset, outputOffset: places.outputOffset
        ).write(to: memory)
        var byteCount = InvocationLayout.headerBytes
        if inputBytes > 0, !places.told.contains(.input), let source = call.pointee.input {
            memcpy(memory + InvocationLayout.headerBytes, source, inputBytes)
            byteCount += inputBytes
        }
        let entry = entries + slot
        entry.pointee.id = nextID
        entry.pointee.call = call
        entry.pointee.message = .call
        entry.pointee.function = call.pointee.function
        entry.pointee.places = places
        call.pointee.sequence = next
        call.pointee.isSent = true
        let sequence = next
        next &+= 1
        nextID &+= 1
        try endpoint.post(sequence: sequence, byteCount: byteCount)
    }

    /// Asks for a function's index.
    private mutating func ask(_ function: Int32) throws(TransportError) {
        known[Int(function)] = Known.asked
        let slot = Int(next & mask)
        let memory = endpoint.outgoing(slot)
        let name = names.bytes(of: function)
        RequestHeader(
            invocationID: nextID, function: InvocationLayout.resolveFunction, payloadBytes: UInt64(name.count),
            resultCapacityBytes: 4
        ).write(to: memory)
        (memory + InvocationLayout.headerBytes).copyMemory(from: name.baseAddress!, byteCount: name.count)
        entries[slot] = Entry(id: nextID, call: nil, message: .question, function: function)
        let sequence = next
        next &+= 1
        nextID &+= 1
        try endpoint.post(sequence: sequence, byteCount: InvocationLayout.headerBytes + name.count)
    }

    /// Sends the calls whose functions are known, in their order, and the questions for the others, as long as there is
    /// room.
    mutating func postBacklog() throws(TransportError) {
        var before: CallPointer?
        var position = backlog.first
        while let call = position, hasCredit {
            position = call.pointee.next
            let function = call.pointee.function
            switch known[Int(function)] {
            case Known.unasked:
                try ask(function)
                before = call
            case Known.asked: before = call
            case Known.nonexistent:
                backlog.remove(call, behind: before)
                call.pointee.dropInput()
                release(call.pointee.places)
                callCount -= 1
                complete(call, .unknownFunction)
            case let index:
                backlog.remove(call, behind: before)
                try post(call, index: index)
                call.pointee.dropInput()
            }
        }
    }

    /// Settles a call; not to be touched afterwards.
    @inline(__always)
    mutating func complete(
        _ call: CallPointer, _ outcome: CallRecord.Outcome, resultBytes: Int = 0, returnValue: Int32 = 0
    ) {
        if call.pointee.complete(outcome, resultBytes: resultBytes, returnValue: returnValue) { mustInterrupt = true }
    }

    @inline(__always)
    func release(_ places: BufferPlaces) { if !places.placement.isEmpty { buffers?.endUse(places) } }
}

/// What the executor calls a function: its index, or one of these.
enum Known {
    static let unasked: Int32 = -1
    static let asked: Int32 = -2
    static let nonexistent: Int32 = -3
}

/// Calls that wait to be sent, in their order; a list through the records themselves.
struct Backlog {
    private(set) var first: CallPointer?
    private(set) var last: CallPointer?
    private(set) var count = 0

    @inline(__always) var isEmpty: Bool { first == nil }

    mutating func append(_ call: CallPointer) {
        call.pointee.next = nil
        if let last { last.pointee.next = call } else { first = call }
        last = call
        count += 1
    }

    /// - Parameter before: the call in front of it; nil when it is the first.
    mutating func remove(_ call: CallPointer, behind before: CallPointer?) {
        let next = call.pointee.next
        if let before { before.pointee.next = next } else { first = next }
        if last == call { last = before }
        call.pointee.next = nil
        count -= 1
    }

    /// Removes a call wherever it is; false when it is not there.
    mutating func remove(_ call: CallPointer) -> Bool {
        var before: CallPointer?
        var position = first
        while let here = position {
            if here == call {
                remove(call, behind: before)
                return true
            }
            before = here
            position = here.pointee.next
        }
        return false
    }
}
