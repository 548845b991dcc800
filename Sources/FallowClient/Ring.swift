internal import CLinux
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// What is in flight on one worker's connection. Owned by an `EndpointConnection`, under its lock.
///
/// Messages are answered in their order, so the ring is a queue: `next` is the number of the next message out, `oldest`
/// that of the oldest without a reply. A call whose function the executor has not yet given an index for waits in
/// `deferred` while the question is under way; it counts as in flight.
struct Ring<Connection: Endpoint & ~Copyable>: ~Copyable {
    private enum Message {
        case none
        case call(Call)
        /// The question for a function's index.
        case question(function: Int)
    }
    private struct Entry {
        var id: UInt64 = 0
        var message = Message.none
    }
    /// What the executor calls a function.
    private enum Known {
        case unasked, asked
        case index(UInt32)
        case nonexistent
    }

    private var endpoint: Connection
    private let names: FunctionNames
    private var entries: [Entry]
    private var known: [Known] = []
    private var deferred: [(call: Call, input: [UInt8])] = []
    private var next: UInt32 = 0
    private var oldest: UInt32 = 0
    private var nextID: UInt64 = 1
    private let mask: UInt32

    let slotCount: Int
    /// Calls admitted and not settled.
    private(set) var callCount = 0
    private(set) var isOver = false

    init(endpoint: consuming Connection, names: FunctionNames) {
        slotCount = endpoint.slotCount
        mask = UInt32(endpoint.slotCount - 1)
        entries = Array(repeating: Entry(), count: endpoint.slotCount)
        self.endpoint = endpoint
        self.names = names
    }

    /// Sends a call, or keeps it until its function is known.
    /// - Returns: false when all slots are taken.
    mutating func admit(_ call: Call, input: UnsafeRawBufferPointer) throws(TransportError) -> Bool {
        guard callCount < slotCount else { return false }
        callCount += 1
        while known.count <= call.function { known.append(.unasked) }
        if case .index(let index) = known[call.function], hasCredit {
            try send(call, index: index, input: input)
        } else {
            deferred.append((call, Array(input)))
            try sendDeferred()
        }
        return true
    }

    /// Calls that wait for their function's index.
    var unsentCount: Int { deferred.count }
    /// Whether calls wait for their function's index, and nothing but the question is in the way.
    var isAskingOnly: Bool { !deferred.isEmpty && deferred.count == callCount }

    /// Polls, up to `polls` times while nothing comes, and settles what has been answered.
    mutating func receive(polls: Int) throws(TransportError) {
        for _ in 0..<polls {
            if let arrival = try endpoint.poll() {
                try settle(arrival)
                while let more = try endpoint.poll() { try settle(more) }
                if !deferred.isEmpty { try sendDeferred() }
                return
            }
            clinux_pause()
        }
    }

    mutating func sleep(atMostNanoseconds timeout: Int64) throws(TransportError) {
        _ = try endpoint.sleep(atMost: .nanoseconds(timeout))
    }

    func wakeOneSleeper() {
        for offset in 0..<(next &- oldest) {
            if case .call(let call) = entries[Int((oldest &+ offset) & mask)].message, call.hasSleeper {
                return call.wakeSleepers()
            }
        }
        deferred.first { $0.call.hasSleeper }?.call.wakeSleepers()
    }

    /// Ends the connection and settles everything: a call that was sent may have run, one that was not cannot have. A
    /// worker takes its calls in their order, so of those behind the first unanswered one none was started, if it is
    /// certain that no answer was missed.
    mutating func end(_ sentence: String, isExecutorDead: Bool) {
        // What was answered before the end still counts.
        try? receive(polls: 1)
        let isSettled = isExecutorDead && endpoint.isPeerSettled()
        isOver = true
        endpoint.close()
        var isFirst = true
        while oldest != next {
            let slot = Int(oldest & mask)
            if case .call(let call) = entries[slot].message {
                call.complete(
                    .failure(
                        isSettled && !isFirst
                            ? FallowError(.notStarted, "\(sentence); the function was not started")
                            : FallowError(.outcomeUnknown, "\(sentence); the function may or may not have run")))
            }
            isFirst = false
            entries[slot].message = .none
            oldest &+= 1
        }
        for (call, _) in deferred {
            call.complete(.failure(FallowError(.notStarted, "\(sentence); the function was not started")))
        }
        deferred.removeAll()
        callCount = 0
    }

    private var hasCredit: Bool { next &- oldest < UInt32(slotCount) }

    private mutating func send(_ call: Call, index: UInt32, input: UnsafeRawBufferPointer) throws(TransportError) {
        try send(.call(call), function: index, payload: input, resultCapacityBytes: call.capacityBytes)
    }

    private mutating func send(
        _ message: Message, function: UInt32, payload: UnsafeRawBufferPointer, resultCapacityBytes: Int
    ) throws(TransportError) {
        let slot = Int(next & mask)
        let memory = endpoint.outgoing(slot)
        RequestHeader(
            invocationID: nextID, function: function, payloadBytes: UInt64(payload.count),
            resultCapacityBytes: UInt64(resultCapacityBytes)
        ).write(to: memory)
        if let source = payload.baseAddress, payload.count > 0 {
            memcpy(memory + InvocationLayout.headerBytes, source, payload.count)
        }
        entries[slot] = Entry(id: nextID, message: message)
        let sequence = next
        next &+= 1
        nextID += 1
        try endpoint.send(sequence: sequence, byteCount: InvocationLayout.headerBytes + payload.count)
    }

    /// Sends the calls whose functions have become known, and the questions for the others, as long as there is room.
    private mutating func sendDeferred() throws(TransportError) {
        var position = 0
        while position < deferred.count {
            let (call, input) = deferred[position]
            if call.isAbandoned {
                deferred.remove(at: position)
                settleUnsent(call, FallowError(.notStarted, "nobody waits for the call any more; it was not started"))
                continue
            }
            guard hasCredit else { return }
            switch known[call.function] {
            case .index(let index):
                deferred.remove(at: position)
                let outcome = input.withUnsafeBytes { bytes in
                    Result { () throws(TransportError) in try send(call, index: index, input: bytes) }
                }
                try outcome.get()
            case .nonexistent:
                deferred.remove(at: position)
                settleUnsent(call, unknownFunction(call.function))
            case .unasked:
                known[call.function] = .asked
                let name = names.bytes(of: call.function)
                let outcome = name.withUnsafeBytes { bytes in
                    Result { () throws(TransportError) in
                        try send(
                            .question(function: call.function), function: InvocationLayout.resolveFunction,
                            payload: bytes, resultCapacityBytes: 4)
                    }
                }
                try outcome.get()
                position += 1
            case .asked: position += 1
            }
        }
    }

    private mutating func settleUnsent(_ call: Call, _ error: FallowError) {
        callCount -= 1
        call.complete(.failure(error))
    }

    private func unknownFunction(_ function: Int) -> FallowError {
        FallowError(
            .unknownFunction,
            "the library has no function '\(names.text(of: function))' (C++ functions need extern \"C\", and none may be static)"
        )
    }

    /// Copies a reply's header once, checks the copy against what was asked, and settles the call.
    private mutating func settle(_ arrival: Arrival) throws(TransportError) {
        guard arrival.sequence == oldest, oldest != next else { throw .protocolViolation }
        let slot = Int(oldest & mask)
        let memory = endpoint.incoming(slot)
        let reply = ReplyHeader(readingFrom: memory)
        let entry = entries[slot]
        let room = endpoint.incomingCapacityBytes - InvocationLayout.headerBytes
        guard reply.invocationID == entry.id, let status = InvocationStatus(rawValue: reply.status),
            reply.resultBytes <= UInt64(room)
        else {
            try endpoint.confirmRead()
            throw .protocolViolation
        }
        let result = memory + InvocationLayout.headerBytes
        switch entry.message {
        case .none: throw .protocolViolation
        case .call(let call):
            let outcome = try read(reply, status, result: result, call)
            oldest &+= 1
            entries[slot].message = .none
            callCount -= 1
            call.complete(outcome)
        case .question(let function):
            let index = result.loadUnaligned(as: UInt32.self)
            try endpoint.confirmRead()
            switch (status, reply.resultBytes) {
            case (.returned, 4): known[function] = .index(UInt32(littleEndian: index))
            case (.unknownFunction, _): known[function] = .nonexistent
            default: throw .protocolViolation
            }
            oldest &+= 1
            entries[slot].message = .none
        }
    }

    private func read(
        _ reply: ReplyHeader, _ status: InvocationStatus, result: UnsafeRawPointer, _ call: Call
    ) throws(TransportError) -> Result<InvocationResult, FallowError> {
        switch status {
        case .returned:
            guard reply.resultBytes <= UInt64(call.capacityBytes) else { throw .protocolViolation }
            if let output = call.output, reply.resultBytes > 0 { memcpy(output, result, Int(reply.resultBytes)) }
            try endpoint.confirmRead()
            return .success(InvocationResult(byteCount: Int(reply.resultBytes), returnValue: reply.returnValue))
        case .resultTooLarge:
            try endpoint.confirmRead()
            let needed = Int(clamping: reply.bytesNeeded)
            return .failure(
                FallowError(
                    .resultTooLarge, "the result needs \(needed) bytes, and there was room for \(call.capacityBytes)",
                    bytesNeeded: needed))
        case .unknownFunction:
            try endpoint.confirmRead()
            return .failure(unknownFunction(call.function))
        case .malformed:
            try endpoint.confirmRead()
            return .failure(FallowError(.internalError, "the executor could not make sense of the invocation's header"))
        }
    }
}
