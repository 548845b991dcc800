internal import FallowTransport
internal import FallowWire
internal import TransportFabric
internal import TransportVerbs

/// Workers with a connection each.
struct ConnectedWorkers {
    var workers: [WorkerConnection]
    /// Memory for calls' buffers, where it was asked for.
    var buffers: BufferArea?
    var transport: TransportKind
    /// Why it is not a better one.
    var complaint: String?
}

/// The ways to a lease's workers on another node: verbs where both nodes have it, else fabric.
struct NetworkPaths {
    let opened: LeaseOpened
    let fabricAddress: String
    let secret: [UInt8]
    let geometry: ArenaGeometry
    let names: FunctionNames
    let fate: LeaseFate
    let agent: AgentConnection

    /// All workers together may take so long to connect; one over verbs, so long until fabric is tried in its place.
    private static let timeout: Duration = .seconds(20)
    private static let verbsTimeout: Duration = .seconds(3)

    func connect() throws(FallowError) -> ConnectedWorkers {
        let deadline = ContinuousClock.now + Self.timeout
        var workers: [WorkerConnection] = []
        var complaint: String?
        if let address = opened.verbsAddress, isDeviceHere {
            let connector = VerbsConnector(
                address: address, leaseID: opened.leaseID, secret: secret, geometry: geometry,
                source: opened.verbsSource)
            while workers.count < opened.workers {
                do throws(TransportError) {
                    workers.append(
                        connection(
                            try connector.connect(
                                worker: workers.count, timeout: min(Self.verbsTimeout, deadline - .now))))
                } catch {
                    complaint =
                        "worker \(workers.count) on node \(opened.node) cannot be reached at \(address) over verbs "
                        + "(\(error)); fabric is used in its place"
                    break
                }
            }
            if complaint == nil { return ConnectedWorkers(workers: workers, transport: .verbs) }
        }
        // Those that verbs reached stay as they are.
        while workers.count < opened.workers {
            do throws(TransportError) {
                workers.append(
                    connection(
                        try FabricEndpoint.connect(
                            address: fabricAddress, leaseID: opened.leaseID, worker: workers.count, secret: secret,
                            geometry: geometry, timeout: max(.zero, deadline - .now))))
            } catch {
                throw FallowError(
                    .internalError,
                    "worker \(workers.count) on node \(opened.node) cannot be reached at \(fabricAddress) over fabric: "
                        + "\(error)")
            }
        }
        return ConnectedWorkers(workers: workers, transport: .fabric, complaint: complaint)
    }

    /// A node without a device is no fault, and costs no attempt.
    private var isDeviceHere: Bool { ((try? VerbsDevice.names()) ?? []).isEmpty == false }

    private func connection<Connection: Endpoint & ~Copyable>(_ endpoint: consuming Connection) -> WorkerConnection {
        EndpointConnection(endpoint: endpoint, names: names, fate: fate, agent: agent)
    }
}
