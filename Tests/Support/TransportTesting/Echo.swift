internal import CLinux
public import FallowTransport
internal import FallowWire

/// How a side waits for the next message.
public enum WaitMode: String, Sendable, CaseIterable {
    case polling, sleeping
    /// Polls a varying number of times and then sleeps, to meet the peer in every state.
    case mixed
}

/// The next message; waits for it as `mode` says, `timeout` at most.
public func receive<E: Endpoint & ~Copyable>(
    _ endpoint: inout E, _ mode: WaitMode, timeout: Duration = .seconds(10)
) throws(TransportError) -> Arrival {
    let clock = ContinuousClock()
    let deadline = clock.now + timeout
    var polls = 0
    let budget =
        switch mode {
        case .polling: Int.max
        case .sleeping: 1
        case .mixed: Int.random(in: 0..<30)
        }
    while true {
        if let arrival = try endpoint.poll() { return arrival }
        polls += 1
        if polls >= budget {
            guard try endpoint.sleep(atMost: deadline - clock.now) else { throw .timedOut }
        } else {
            clinux_pause()
            if polls & 1023 == 0, clock.now > deadline { throw .timedOut }
        }
    }
}

/// An executor that sends every payload back. Ends after `count` requests, or with the error that ended it.
public func serveEcho<E: Endpoint & ~Copyable>(
    _ endpoint: inout E, _ mode: WaitMode, count: Int = .max, timeout: Duration = .seconds(10)
) throws(TransportError) {
    for _ in 0..<count {
        let arrival = try receive(&endpoint, mode, timeout: timeout)
        let slot = Int(arrival.sequence) & (endpoint.slotCount - 1)
        let input = endpoint.incoming(slot)
        let output = endpoint.outgoing(slot)
        let header = RequestHeader(readingFrom: input)
        let room = min(endpoint.incomingCapacityBytes, endpoint.outgoingCapacityBytes) - InvocationLayout.headerBytes
        // The header is the peer's word: clamp the copy.
        let bytes = Int(min(header.payloadBytes, UInt64(room)))
        (output + InvocationLayout.headerBytes).copyMemory(
            from: input + InvocationLayout.headerBytes, byteCount: bytes)
        try endpoint.confirmRead()
        ReplyHeader(
            invocationID: header.invocationID, status: .returned, resultBytes: UInt64(bytes), bytesNeeded: UInt64(bytes)
        ).write(to: output)
        try endpoint.send(sequence: arrival.sequence, byteCount: InvocationLayout.headerBytes + bytes)
    }
}
