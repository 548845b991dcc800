/// What was wrong with a connect; counted by the listener, told to nobody but its owner.
public enum HandshakeComplaint: Error, Hashable, Sendable {
    case malformed, version, lease, geometry, worker, proof, replayed, taken, resources
}

/// What a listener remembers of whom it let in and whom it did not. One connection for each worker, each nonce once.
///
/// Every nonce that came with a good proof is remembered, 4096 at most; then nobody is let in any more.
public struct Doorkeeper: Sendable {
    private static let rememberedNonces = 4096

    private var isTaken: [Bool]
    private var usedNonces: Set<[UInt8]> = []
    private var complaints: [HandshakeComplaint: Int] = [:]

    public init(workers: Int) { isTaken = Array(repeating: false, count: workers) }

    public var workers: Int { isTaken.count }
    /// How many connects were turned away, by reason ("proof", "version", "replayed", …).
    public var refusals: [String: Int] {
        Dictionary(uniqueKeysWithValues: complaints.map { ("\($0.key)", $0.value) })
    }

    /// Uses a nonce up, whose proof holds, and looks whether its worker is free.
    public mutating func admit(worker: Int, nonce: [UInt8]) throws(HandshakeComplaint) {
        guard usedNonces.count < Self.rememberedNonces, usedNonces.insert(nonce).inserted else { throw .replayed }
        guard !isTaken[worker] else { throw .taken }
    }

    /// The worker's connection stands.
    public mutating func take(worker: Int) { isTaken[worker] = true }
    /// The worker may be connected to once more.
    public mutating func free(worker: Int) { isTaken[worker] = false }
    public mutating func count(_ complaint: HandshakeComplaint) { complaints[complaint, default: 0] += 1 }
}
