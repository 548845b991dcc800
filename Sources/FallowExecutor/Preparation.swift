internal import FallowModel
internal import FallowTenant
internal import FallowWire
internal import TransportFabric

/// What an executor that waits for its lease does ahead, so that the lease need not wait for it.
enum Preparation {
    /// Loads what a lease over the transport will use. Stops when an assignment has come meanwhile. Starts no thread.
    static func run(_ transport: TransportKind, _ channel: ControlChannel) {
        guard !channel.hasPacket else { return }
        // The first message read or written in JSON costs a millisecond.
        ControlChannel.rehearse()
        if transport == .fabric { FabricPreparation.run(willBeAnother: true, while: { !channel.hasPacket }) }
        channel.send(ExecutorReport(isPrepared: true))
    }
}

/// What took how long.
struct PhaseClock {
    private var last = monotonicNanoseconds()
    private(set) var microseconds: [String: Int] = [:]

    /// What was waited for is no phase: the next one begins now.
    mutating func begin() { last = monotonicNanoseconds() }

    /// Ends a phase: since the one before ended.
    mutating func note(_ phase: String) {
        let now = monotonicNanoseconds()
        microseconds[phase] = Int((now - last) / 1000)
        last = now
    }
}
