extension LeaseEnd {
    /// The number under which a lease's memory says why the lease is over.
    public var number: UInt32 {
        switch self {
        case .released: 1
        case .clientGone: 2
        case .expired: 3
        case .reclaimed: 4
        case .withdrawn: 5
        case .executorDied: 6
        case .outOfMemory: 7
        case .agentGone: 8
        }
    }

    /// The reason of a number that was read from a lease's memory, which its peer may have written: nil when it is none.
    public init?(number: UInt32) {
        let all: [LeaseEnd] = [
            .released, .clientGone, .expired, .reclaimed, .withdrawn, .executorDied, .outOfMemory, .agentGone,
        ]
        guard let reason = all.first(where: { $0.number == number }) else { return nil }
        self = reason
    }
}
