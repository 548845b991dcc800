/// The numbers behind the promise that a lost peer is known within 2 s, whatever died.
///
/// A process that ends is known at once: its kernel says so by rdma_cm. A node or a wire that goes silent is known by
/// what is sent and never acknowledged: the device tries again `retryCount` times after
/// 4.096 µs × 2^`ackTimeoutExponent` = 67 ms each, 0.4 s in all (the specification lets a device take up to four times
/// as long: 1.6 s). Who waits and has heard nothing for `silenceNanoseconds` sends a write of no bytes, so that there
/// always is something to be acknowledged: 0.2 s + 1.6 s at the most. The rest of the 2 s is the client's, who asks its agent
/// for the reason.
enum VerbsBounds {
    static let ackTimeoutExponent: UInt8 = 14
    static let retryCount: UInt8 = 5
    /// Receives are posted before their credit is given, so a peer that is not ready to receive has broken the protocol.
    /// 655 ms each, which is what rdma_cm sets.
    static let notReadyRetryCount: UInt8 = 2
    static let silenceNanoseconds: UInt64 = 200_000_000
    /// Between two looks at the connection's events while polling.
    static let lookNanoseconds: UInt64 = 1_000_000
    /// How long `close` waits for what was sent to be acknowledged.
    static let lingerNanoseconds: Int64 = 1_000_000_000
    /// How long `send` presses on when the device's queue is full.
    static let fullQueueNanoseconds: Int64 = 1_000_000_000
    /// How long a listener waits for the last word of a connect that it accepted.
    static let finishNanoseconds: Int64 = 1_000_000_000
    /// How long the network may take to say where an address is, before it is asked again.
    static let resolveMilliseconds: CInt = 1000
    /// Most bytes that are sent within the work request itself: the header and small payloads. Fewer where the device
    /// does not have that much.
    static let inlineBytes = [256, 128, 64, 0] as [UInt32]
}
