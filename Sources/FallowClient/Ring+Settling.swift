internal import FallowTransport
internal import FallowWire
internal import Glibc

extension Ring where Connection: ~Copyable {
    /// Copies a reply's header once, checks the copy against what was asked, and settles the call.
    @inline(__always)
    mutating func settle(_ arrival: Arrival) throws(TransportError) {
        guard arrival.sequence == oldest, oldest != next else { throw .protocolViolation }
        let slot = Int(oldest & mask)
        let memory = endpoint.incoming(slot)
        let reply = ReplyHeader(readingFrom: memory)
        let entry = entries + slot
        let room = endpoint.incomingCapacityBytes - InvocationLayout.headerBytes
        guard reply.invocationID == entry.pointee.id, let status = InvocationStatus(rawValue: reply.status),
            reply.resultBytes <= UInt64(room)
        else {
            try endpoint.confirmRead()
            throw .protocolViolation
        }
        guard entry.pointee.message == .call else { return try learn(reply, status, slot: slot) }
        let result = memory + InvocationLayout.headerBytes
        let call = entry.pointee.call
        if let call, status == .returned {
            guard reply.resultBytes <= UInt64(call.pointee.capacityBytes) else { throw .protocolViolation }
            if let output = call.pointee.output, reply.resultBytes > 0 {
                memcpy(output, result, Int(reply.resultBytes))
            }
        }
        try endpoint.confirmRead()
        release(entry.pointee.places)
        oldest &+= 1
        entry.pointee.message = .none
        entry.pointee.call = nil
        callCount -= 1
        guard let call else { return }
        switch status {
        case .returned:
            complete(call, .returned, resultBytes: Int(reply.resultBytes), returnValue: reply.returnValue)
        case .resultTooLarge: complete(call, .resultTooLarge, resultBytes: Int(clamping: reply.bytesNeeded))
        case .unknownFunction: complete(call, .unknownFunction)
        case .malformed: complete(call, .malformed)
        }
    }

    /// Takes in what the executor calls a function.
    private mutating func learn(
        _ reply: ReplyHeader, _ status: InvocationStatus, slot: Int
    ) throws(TransportError) {
        let entry = entries + slot
        guard entry.pointee.message == .question else { throw .protocolViolation }
        let index = endpoint.incoming(slot).loadUnaligned(
            fromByteOffset: InvocationLayout.headerBytes, as: UInt32.self)
        try endpoint.confirmRead()
        let function = Int(entry.pointee.function)
        switch (status, reply.resultBytes) {
        case (.returned, 4):
            guard let index = Int32(exactly: UInt32(littleEndian: index)) else { throw .protocolViolation }
            known[function] = index
        case (.unknownFunction, _): known[function] = Known.nonexistent
        default: throw .protocolViolation
        }
        oldest &+= 1
        entry.pointee.message = .none
    }

    /// Nobody wants the call's result any more. One that lies in a slot leaves it in quarantine until the late reply comes.
    /// - Returns: false when the call was done before.
    mutating func abandon(_ call: CallPointer) -> Bool {
        if call.pointee.isDone { return false }
        if call.pointee.isSent {
            entries[Int(call.pointee.sequence & mask)].call = nil
        } else if backlog.remove(call) {
            callCount -= 1
            release(call.pointee.places)
        }
        return true
    }

    /// Ends the connection and settles everything: a call that was sent may have run, one that was not cannot have. A
    /// worker takes its calls in their order, so of those behind the first unanswered one none was started, if it is
    /// certain that no answer was missed.
    mutating func end(isExecutorDead: Bool) {
        // What was answered before the end still counts.
        while let arrival = try? endpoint.poll(), (try? settle(arrival)) != nil {}
        let isSettled = isExecutorDead && endpoint.isPeerSettled()
        isOver = true
        endpoint.close()
        var isFirst = true
        while oldest != next {
            let entry = entries + Int(oldest & mask)
            release(entry.pointee.places)
            if entry.pointee.message == .call, let call = entry.pointee.call {
                complete(call, isSettled && !isFirst ? .notStarted : .unknown)
            }
            isFirst = false
            entry.pointee.message = .none
            entry.pointee.call = nil
            oldest &+= 1
        }
        while let call = backlog.first {
            backlog.remove(call, behind: nil)
            release(call.pointee.places)
            call.pointee.dropInput()
            complete(call, .notStarted)
        }
        callCount = 0
    }

    /// Wakes a thread that sleeps for its call without watching the worker; the one that will wait longest.
    func wakeOneSleeper() {
        var candidate = backlog.last
        if let call = candidate, call.pointee.wakeSleeper() { return }
        candidate = backlog.first
        while let call = candidate {
            if call.pointee.wakeSleeper() { return }
            candidate = call.pointee.next
        }
        var position = next
        while position != oldest {
            position &-= 1
            if let call = entries[Int(position & mask)].call, call.pointee.wakeSleeper() { return }
        }
    }
}
