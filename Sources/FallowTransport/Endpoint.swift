/// What can go wrong between two ends. Small and without payload text: it is thrown on the hot path.
public enum TransportError: Error, Hashable, Sendable {
    /// All slots are in flight.
    case ringFull
    /// The message is larger than a slot; `limitBytes` is what fits.
    case oversize(limitBytes: Int)
    /// The other end is gone, or the lease was ended.
    case peerLost
    /// The wait's bound passed.
    case timedOut
    /// The other end refused the connection (proof, version, a replayed nonce).
    case refused
    /// The other end broke the protocol (an immediate that fits no slot).
    case protocolViolation
    /// The system or the fabric said no; `code` is an errno.
    case system(code: Int32)
}

/// A message that arrived: the immediate that came with it names the slot it lies in.
public struct Arrival: Hashable, Sendable {
    /// Number of the message on this direction, modulo 2^32; the slot is this modulo the slot count.
    public var sequence: UInt32
    @inlinable public init(sequence: UInt32) { self.sequence = sequence }
}

/// One end of a connection between a client and one worker of an executor.
///
/// Both directions have `slotCount` slots. Messages on one direction are numbered from 0, and message n lies in slot
/// n mod slotCount, so slots are used in turn; the sender keeps count of what is free (a client's slot is free again
/// when its reply was consumed). The sender prepares a message in `outgoing(slot)` and calls `send`; the receiver sees
/// it by `poll` or `wait` and reads it in `incoming(slot)`, where the peer may change it at any time.
/// An endpoint is used by one thread at a time, and moves between threads whole. Nothing here allocates, locks, or logs.
///
/// Credit: a client may send message n once reply n - slotCount was polled; an executor may send reply n once request
/// n was polled (so its replies use the slots in the order of the requests, whatever order they were worked on).
/// `send` says `ringFull` beyond that, and a peer that exceeds its own credit is a `protocolViolation`. One rule
/// follows for the readers: whoever polled message n has to be done with `incoming` of its slot before it sends the
/// message that gives the slot back (a client: request n + slotCount; an executor: reply n).
public protocol Endpoint: ~Copyable, Sendable {
    /// Messages in flight at most on each direction; a power of two.
    var slotCount: Int { get }
    /// Most bytes of one outgoing message, header included.
    var outgoingCapacityBytes: Int { get }
    /// Most bytes of one incoming message, header included.
    var incomingCapacityBytes: Int { get }

    /// Where to prepare the message that goes out in `slot`; 64-byte aligned, `outgoingCapacityBytes` long.
    func outgoing(_ slot: Int) -> UnsafeMutableRawPointer
    /// Where the message that came in `slot` lies; 64-byte aligned, `incomingCapacityBytes` long.
    func incoming(_ slot: Int) -> UnsafeRawPointer

    /// Sends the first `byteCount` bytes of `outgoing(sequence mod slotCount)` as message `sequence`. Does not wait for delivery.
    /// Sequences are consecutive, from the endpoint's first one (0 unless it was made otherwise); `ringFull` leaves
    /// everything as it was. The slot's bytes stay untouched by the caller until the exchange over this slot has ended.
    mutating func send(sequence: UInt32, byteCount: Int) throws(TransportError)

    /// Sends a message as `send` does, but may leave the peer asleep and the message on its way until `flush`: for
    /// batches with one doorbell.
    mutating func post(sequence: UInt32, byteCount: Int) throws(TransportError)
    /// Has the peer see everything that was posted.
    mutating func flush() throws(TransportError)

    /// The next message, if one has arrived. Never blocks.
    mutating func poll() throws(TransportError) -> Arrival?

    /// To be called when everything wanted of `incoming` was copied out, before the copy is believed: throws `peerLost`
    /// when the lease was ended meanwhile and the memory may have been emptied under the reader (shared memory is taken
    /// back by punching its pages out, which reads as zeros). Costs one load.
    func confirmRead() throws(TransportError)

    /// Sleeps until something may have arrived, the peer is lost, or the time-out passed. May wake for nothing.
    /// - Returns: false when the time-out passed.
    mutating func sleep(atMost timeout: Duration) throws(TransportError) -> Bool

    // Sleeping without holding the endpoint, where the transport's event is a futex word (`sleepsOnWord`): a thread
    // announces its sleep, sleeps on the word while others may use the endpoint, and says when it is awake.

    static var sleepsOnWord: Bool { get }
    /// Announces a sleep: the word to sleep on while it is 1. Nil when a message has arrived: do not sleep.
    mutating func beginSleep() throws(TransportError) -> UnsafeRawPointer?
    /// Nobody sleeps any more.
    mutating func endSleep()
    /// Wakes all who sleep on this side's word, for another reason than a message.
    func wakeOwnSleepers()

    /// Whether the peer is known to sleep, so that a message costs a wake-up.
    var isPeerAsleep: Bool { get }
    /// Whether the connection's end shows in memory, at the cost of a load; nil where one has to ask.
    var showsEnd: Bool? { get }
    /// The memory that both sides share for buffers, where offsets in a request's header point; empty where there is none.
    var buffers: UnsafeMutableRawBufferPointer { get }

    /// Whether it is certain that the peer has ended and that everything it ever sent was polled, or can still be: a message
    /// that it had not answered by now it never will. False where that cannot be known, as over a network.
    func isPeerSettled() -> Bool

    /// Ends the connection; the peer sees `peerLost`. Idempotent.
    mutating func close()
}

extension Endpoint where Self: ~Copyable {
    public func isPeerSettled() -> Bool { false }
    public mutating func post(sequence: UInt32, byteCount: Int) throws(TransportError) {
        try send(sequence: sequence, byteCount: byteCount)
    }
    public mutating func flush() throws(TransportError) {}
    public static var sleepsOnWord: Bool { false }
    public mutating func beginSleep() throws(TransportError) -> UnsafeRawPointer? { nil }
    public mutating func endSleep() {}
    public func wakeOwnSleepers() {}
    public var isPeerAsleep: Bool { false }
    public var showsEnd: Bool? { nil }
    public var buffers: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: nil, count: 0) }
}
