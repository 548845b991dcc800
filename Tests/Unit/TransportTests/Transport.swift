import FallowModel
import FallowTransport
import Glibc
import Testing
import TransportFabric
import TransportShm
import TransportTesting
import TransportVerbs

/// Everything here runs one after the other: two polling threads are what the machine has cores for.
@Suite(.serialized) enum TransportTests {}

let someLease = LeaseID(1)
let someSecret = [UInt8](repeating: 7, count: 32)
let smallGeometry = ArenaGeometry(slotCount: 8, inputBytes: 8192, outputBytes: 8192)

/// What is to be shown of a pair of connected endpoints, whatever their type.
protocol PairCheck {
    func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws
}
/// What is to be shown of a client whose executor is another process.
protocol ClientCheck {
    func run<E: Endpoint & ~Copyable>(client: consuming E, peer: PeerProcess) throws
}

/// The transports under test.
enum Transport: String, CaseIterable, CustomTestStringConvertible {
    case shm, fabric, verbs
    var testDescription: String { rawValue }

    /// Verbs is tested where there is an RDMA device; `VerbsConnectTests` says so where there is none. Whoever names the
    /// device is in an emulated machine for its sake, and has no time for the others.
    static let allCases: [Transport] =
        RDMAHere.isNamed ? [.verbs] : [.shm, .fabric] + (RDMAHere.isThere ? [.verbs] : [])

    /// How soon a lost peer is known, and how much later than asked a sleep may end. RDMA is tested in emulated
    /// machines, which may stand still for tenths of a second; what has to be noticed at once is still far from the 2 s
    /// of a silence.
    var bound: Duration { self == .verbs ? .seconds(1) : .milliseconds(100) }
    /// What an exchange whose wake-up was lost takes at least: a slice of the sleep; over verbs, the silence after which
    /// the peer is asked.
    var lostWakeUp: Duration { self == .verbs ? .milliseconds(190) : .milliseconds(19) }
    /// So many messages as are worth while there.
    func messages(_ count: Int) -> Int {
        switch self {
        case .shm: count
        case .fabric: count / 10
        case .verbs: count / 25
        }
    }

    /// Connects two endpoints in this process.
    func pair(
        _ check: some PairCheck, geometry: ArenaGeometry = smallGeometry, firstSequence: UInt32 = 0
    ) throws {
        switch self {
        case .shm:
            let arena = try ShmArena.create(geometry: geometry, workers: 1)
            try check.run(
                client: arena.endpoint(worker: 0, side: .client, firstSequence: firstSequence),
                executor: arena.endpoint(worker: 0, side: .executor, firstSequence: firstSequence))
        case .fabric:
            let listener = try FabricListener(
                bindAddress: "127.0.0.1", leaseID: someLease, secret: someSecret, geometry: geometry, workers: 1)
            let (client, executor) = try connected(
                accepting: { () throws(TransportError) in
                    Handover(
                        try listener.acceptNext(timeout: .seconds(5), firstSequence: firstSequence).takeEndpoint())
                },
                connecting: { () throws(TransportError) in
                    Handover(
                        try FabricEndpoint.connect(
                            address: listener.address, leaseID: someLease, worker: 0, secret: someSecret,
                            geometry: geometry, timeout: .seconds(5), firstSequence: firstSequence))
                })
            try check.run(client: client.take(), executor: executor.take())
        case .verbs:
            let listener = try VerbsListener(
                bindAddress: RDMAHere.server, leaseID: someLease, secret: someSecret, geometry: geometry, workers: 1)
            let (client, executor) = try connected(
                accepting: { () throws(TransportError) in
                    Handover(
                        try listener.acceptNext(timeout: .seconds(5), firstSequence: firstSequence).takeEndpoint())
                },
                connecting: { () throws(TransportError) in
                    Handover(
                        try RDMAHere.connector(to: listener.address, geometry: geometry)
                            .connect(worker: 0, timeout: .seconds(5), firstSequence: firstSequence))
                })
            try check.run(client: client.take(), executor: executor.take())
        }
    }

    /// Connects two endpoints of one process while a thread accepts.
    private func connected<E: Endpoint & ~Copyable>(
        accepting: () throws(TransportError) -> Handover<E>,
        connecting: @escaping @Sendable () throws(TransportError) -> Handover<E>
    ) throws -> (client: Handover<E>, executor: Handover<E>) {
        nonisolated(unsafe) var connected: Result<Handover<E>, TransportError>?
        let thread = PeerThread { connected = Result(catching: connecting) }
        let executor = Result(catching: accepting)
        thread.join()
        return (try #require(connected).get(), try executor.get())
    }

    /// Connects to an executor in another process, which answers in `mode`.
    func process(
        _ check: some ClientCheck, geometry: ArenaGeometry = smallGeometry, mode: String
    ) throws {
        switch self {
        case .shm:
            let arena = try ShmArena.create(geometry: geometry, workers: 1)
            let peer = try PeerProcess(
                ["shm", "\(geometry.slotCount)", "\(geometry.inputBytes)", "\(geometry.outputBytes)", mode],
                descriptor: arena.descriptor)
            #expect(peer.greeting == "ready")
            try check.run(client: arena.endpoint(worker: 0, side: .client), peer: peer)
        case .fabric:
            let peer = try PeerProcess([
                "fabric", "\(geometry.slotCount)", "\(geometry.inputBytes)", "\(geometry.outputBytes)", mode, "7",
            ])
            let client = try FabricEndpoint.connect(
                address: peer.greeting, leaseID: someLease, worker: 0, secret: someSecret, geometry: geometry,
                timeout: .seconds(5))
            try check.run(client: client, peer: peer)
        case .verbs:
            let peer = try PeerProcess([
                "verbs", "\(geometry.slotCount)", "\(geometry.inputBytes)", "\(geometry.outputBytes)", mode, "7",
                RDMAHere.server,
            ])
            let client = try RDMAHere.connector(to: peer.greeting, geometry: geometry)
                .connect(worker: 0, timeout: .seconds(5))
            try check.run(client: client, peer: peer)
        }
    }
}

extension RDMAHere {
    static func connector(
        to address: String, secret: [UInt8] = someSecret, lease: LeaseID = someLease,
        geometry: ArenaGeometry = smallGeometry
    ) -> VerbsConnector {
        VerbsConnector(address: address, leaseID: lease, secret: secret, geometry: geometry, source: source)
    }
}
