import FallowTransport
import FallowWire
import Testing
import TransportTesting

/// A client's half of an exchange, with everything checked.
struct Caller<E: Endpoint & ~Copyable>: ~Copyable {
    var endpoint: E
    var nextSent: UInt32
    var nextReceived: UInt32

    init(_ endpoint: consuming E, firstSequence: UInt32 = 0) {
        self.endpoint = endpoint
        nextSent = firstSequence
        nextReceived = firstSequence
    }

    var inFlight: UInt32 { nextSent &- nextReceived }

    private func slot(_ sequence: UInt32) -> Int { Int(sequence) & (endpoint.slotCount - 1) }

    /// Sends `byteCount` bytes that only this message has.
    mutating func send(_ byteCount: Int) throws(TransportError) {
        prepare(byteCount)
        try endpoint.send(sequence: nextSent, byteCount: 64 + byteCount)
        nextSent &+= 1
    }

    /// The same, for a batch: nothing need be under way before the endpoint is flushed.
    mutating func post(_ byteCount: Int) throws(TransportError) {
        prepare(byteCount)
        try endpoint.post(sequence: nextSent, byteCount: 64 + byteCount)
        nextSent &+= 1
    }

    private func prepare(_ byteCount: Int) {
        let to = endpoint.outgoing(slot(nextSent))
        RequestHeader(
            invocationID: UInt64(nextSent), function: 0, payloadBytes: UInt64(byteCount),
            resultCapacityBytes: UInt64(byteCount)
        ).write(to: to)
        for index in 0..<byteCount {
            to.storeBytes(of: pattern(nextSent, index), toByteOffset: 64 + index, as: UInt8.self)
        }
    }

    /// Receives the next reply and compares every byte.
    mutating func receive(
        _ byteCount: Int, _ mode: WaitMode = .polling, timeout: Duration = .seconds(10)
    ) throws {
        let arrival = try TransportTesting.receive(&endpoint, mode, timeout: timeout)
        let from = endpoint.incoming(slot(arrival.sequence))
        let header = ReplyHeader(readingFrom: from)
        var isSame = true
        for index in 0..<byteCount
        where from.load(fromByteOffset: 64 + index, as: UInt8.self) != pattern(nextReceived, index) {
            isSame = false
        }
        try endpoint.confirmRead()
        // One comparison a message: expectations are slow.
        if arrival.sequence != nextReceived || header.invocationID != UInt64(nextReceived)
            || header.resultBytes != UInt64(byteCount) || !isSame
        {
            Issue.record("message \(nextReceived): got \(arrival), \(header), bytes equal: \(isSame)")
        }
        nextReceived &+= 1
    }

    private func pattern(_ sequence: UInt32, _ index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: UInt64(sequence) &* 31 &+ UInt64(index) &* 7 &+ UInt64(index >> 8))
    }
}

/// Runs an echoing executor in a thread while the client's half runs here; gives how the executor ended.
func withEcho<E: Endpoint & ~Copyable>(
    client: consuming E, executor: consuming E, firstSequence: UInt32 = 0, mode: WaitMode = .polling, count: Int = .max,
    _ body: (inout Caller<E>) throws -> Void
) throws -> TransportError? {
    let handover = Handover(consume executor)
    nonisolated(unsafe) var ending: TransportError?
    let thread = PeerThread {
        var endpoint = handover.take()
        do throws(TransportError) {
            try serveEcho(&endpoint, mode, count: count)
        } catch {
            ending = error
        }
    }
    var caller = Caller(consume client, firstSequence: firstSequence)
    let result = Result { try body(&caller) }
    caller.endpoint.close()
    thread.join()
    try result.get()
    return ending
}
