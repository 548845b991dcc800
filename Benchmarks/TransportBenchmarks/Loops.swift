internal import CLinux
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// Answers every request with a header and as many bytes, without looking at them: the transport's cost alone.
func answer<E: Endpoint & ~Copyable>(_ endpoint: inout E, replyBytes: Int) throws(TransportError) {
    while true {
        guard let arrival = try endpoint.poll() else {
            clinux_pause()
            continue
        }
        let slot = Int(arrival.sequence) & (endpoint.slotCount - 1)
        let header = RequestHeader(readingFrom: endpoint.incoming(slot))
        ReplyHeader(invocationID: header.invocationID, status: .returned).write(to: endpoint.outgoing(slot))
        try endpoint.send(sequence: arrival.sequence, byteCount: replyBytes)
    }
}

/// Nanoseconds of each of `rounds` round trips, one in flight. Timed in groups, to keep the clock out of it.
func pingPong<E: Endpoint & ~Copyable>(
    _ endpoint: inout E, sequence: inout UInt32, rounds: Int, group: Int, bytes: Int
) throws(TransportError) -> [Double] {
    var took: [Double] = []
    took.reserveCapacity(rounds / group)
    for _ in 0..<rounds / group {
        let start = now()
        for _ in 0..<group {
            let slot = Int(sequence) & (endpoint.slotCount - 1)
            RequestHeader(invocationID: UInt64(sequence), function: 0, payloadBytes: 0, resultCapacityBytes: 0)
                .write(to: endpoint.outgoing(slot))
            try endpoint.send(sequence: sequence, byteCount: bytes)
            while try endpoint.poll() == nil { clinux_pause() }
            let reply = ReplyHeader(readingFrom: endpoint.incoming(slot))
            try endpoint.confirmRead()
            precondition(reply.invocationID == UInt64(sequence))
            sequence &+= 1
        }
        took.append((now() - start) / Double(group))
    }
    return took.sorted()
}

/// Messages a second with the ring kept full.
func pipeline<E: Endpoint & ~Copyable>(
    _ endpoint: inout E, sequence: inout UInt32, count: Int, bytes: Int
) throws(TransportError) -> Double {
    let start = now()
    let first = sequence
    var received: UInt32 = 0
    while received < UInt32(count) {
        while sequence &- first &- received < UInt32(endpoint.slotCount), sequence &- first < UInt32(count) {
            let slot = Int(sequence) & (endpoint.slotCount - 1)
            RequestHeader(invocationID: UInt64(sequence), function: 0, payloadBytes: 0, resultCapacityBytes: 0)
                .write(to: endpoint.outgoing(slot))
            try endpoint.send(sequence: sequence, byteCount: bytes)
            sequence &+= 1
        }
        while let arrival = try endpoint.poll() {
            let slot = Int(arrival.sequence) & (endpoint.slotCount - 1)
            precondition(ReplyHeader(readingFrom: endpoint.incoming(slot)).invocationID == UInt64(arrival.sequence))
            received += 1
        }
    }
    return Double(count) / (now() - start) * 1e9
}

func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}
