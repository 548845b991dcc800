public import FallowWire
internal import Glibc
internal import TransportFabric

/// The connection to this node's agent; the door to everything else.
///
/// Everything leased through a client ends when it is closed or its process ends, however it ends. Thread-safe; no thread
/// of ours runs in the process. Not usable in a child after `fork`.
public final class FallowClient: Sendable {
    /// Where an agent listens unless it was told otherwise.
    public static let defaultSocketPath = "/run/fallow/client.sock"

    let agent: AgentConnection

    private init(agent: AgentConnection) { self.agent = agent }

    deinit { agent.shut() }

    /// Connects to this node's agent.
    /// - Parameters:
    ///   - socketPath: nil takes `FALLOW_CLIENT_SOCKET` from the environment, else `defaultSocketPath`.
    ///   - timeout: for the agent's first word.
    /// - Throws: `.noAgent` when nobody answers there.
    public static func connect(
        socketPath: String? = nil, timeout: Duration = .seconds(5)
    ) throws(FallowError) -> FallowClient {
        ForkGuard.arm()
        let environment = getenv("FALLOW_CLIENT_SOCKET").map { String(cString: $0) }
        let path = socketPath ?? environment.flatMap { $0.isEmpty ? nil : $0 } ?? defaultSocketPath
        return FallowClient(agent: try AgentConnection(socketPath: path, timeout: timeout))
    }

    /// Leases executors and loads a library into them.
    ///
    /// The library is opened here, with the caller's rights. Blocks until the workers are connected: milliseconds when there
    /// is capacity, `options.wait` more when there is none.
    /// - Throws: `.invalid`, `.noAgent`, `.noCapacity`, `.refused`, `.libraryUnusable`, `.timedOut`, `.internalError`.
    public func lease(library path: String, _ options: LeaseOptions = LeaseOptions()) throws(FallowError) -> Lease {
        try ForkGuard.check()
        try options.check()
        let library = try LibraryDescriptor.open(path: path)
        let answer = try agent.exchange(
            .lease, lease: options.demand(libraryName: library.name), descriptors: [library.descriptor],
            timeout: options.wait + .seconds(30),
            // Slow, once in a process, and the agents are at work meanwhile.
            meanwhile: { if options.isRemote { FabricPreparation.run() } })
        return try Lease(answer: answer, asked: options, client: self)
    }

    /// What the agent says of itself.
    public func status() throws(FallowError) -> AgentStatus {
        try ForkGuard.check()
        let answer = try agent.exchange(.status, timeout: .seconds(5))
        for descriptor in answer.descriptors { Glibc.close(descriptor) }
        guard let status = answer.reply.status else {
            throw FallowError(.internalError, "the node's agent answered 'status' with '\(answer.reply.kind.rawValue)'")
        }
        return status
    }

    /// Ends the connection, and with it every lease. Harmless when done before.
    public func close() { agent.shut() }
}

/// The user's library, opened for being passed on.
private struct LibraryDescriptor: ~Copyable {
    let descriptor: Int32
    /// The last part of the path.
    let name: String

    /// Opens a library with the caller's rights.
    static func open(path: String) throws(FallowError) -> LibraryDescriptor {
        guard !path.utf8.contains(0), !path.isEmpty else { throw FallowError(.invalid, "a library's path is missing") }
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw FallowError(
                .libraryUnusable, "the library '\(path)' cannot be opened: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            Glibc.close(descriptor)
            throw FallowError(.libraryUnusable, "the library '\(path)' is not a file")
        }
        return LibraryDescriptor(descriptor: descriptor, name: String(path.split(separator: "/").last ?? "library"))
    }

    deinit { Glibc.close(descriptor) }
}
