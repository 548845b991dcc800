internal import FallowHost
internal import FallowModel
internal import FallowPolicy
internal import FallowTransport
internal import FallowWire

/// A lease on its way: it has its place on the node, and no executor that serves yet. Confined to the event loop's thread.
final class LeaseStart {
    /// Executors started for it that are tried. Those that stood ready are tried besides, as many as there are: they may all
    /// have been killed meanwhile.
    static let executorsStarted = 3

    let grant: Grant
    let placement: Placement
    let geometry: ArenaGeometry
    let identity: UserIdentity
    /// Opened for reading; the caller's, who closes it after `ready` was called. -1 with memory.
    let library: Int32
    let transport: TransportKind
    /// Whether it is one of memory, and a donor is wanted.
    var isDonor: Bool { grant.demand.kind == .memory }
    /// Whether the executor that it got first stood ready.
    var wasParked = false
    var executors = 0
    /// Of these, those that did not stand ready.
    var executorsStarted = 0
    /// Whether another executor may take the place of one that is lost.
    var mayTryAnother: Bool { executorsStarted < Self.executorsStarted }
    /// When it was asked for, and what took how long since: phase \u{2192} microseconds.
    let began = ContinuousClock.now
    var microseconds: [String: Int] = [:]
    /// A donor's memory takes CPU time to allocate, on a node whose cores are usually busy.
    var hurry: CgroupHurry?
    private let ready: (Result<ExecutorReport, WireError>) -> Void

    init(
        grant: Grant, placement: Placement, geometry: ArenaGeometry, identity: UserIdentity, library: Int32,
        transport: TransportKind, ready: @escaping (Result<ExecutorReport, WireError>) -> Void
    ) {
        self.grant = grant
        self.placement = placement
        self.geometry = geometry
        self.identity = identity
        self.library = library
        self.transport = transport
        self.ready = ready
    }

    /// Says what became of it. Once only.
    func finish(_ result: Result<ExecutorReport, WireError>) {
        hurry?.end()
        ready(result)
    }

    /// Notes how long it took from the beginning to here.
    func note(_ phase: String) { microseconds[phase] = Int((ContinuousClock.now - began).nanoseconds / 1000) }
}
