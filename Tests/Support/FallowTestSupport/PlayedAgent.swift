internal import FallowLocal
public import FallowModel
internal import FallowTransport
public import FallowWire
internal import Foundation
internal import Synchronization

/// The part of a node's agent that a client talks to, played by the test: a real socket, real executors, no cgroups, no
/// co-scheduler. One thread serves all connections; a script may answer requests otherwise.
public final class PlayedAgent: @unchecked Sendable {
    /// One client's connection.
    public final class Session {
        fileprivate let connection: LocalConnection
        fileprivate var reader = LineReader(lineLimitBytes: 1 << 20)
        fileprivate var leases: [LeaseID: ExecutorUnderTest] = [:]
        fileprivate var isOpen = true

        init(_ connection: LocalConnection) { self.connection = connection }

        /// Sends bytes as they are.
        public func send(raw text: String, descriptors: [Int32] = []) {
            // Not through a queue: that would duplicate and close the arena's descriptor, and drop the locks on it.
            _ = try? connection.send(Array(text.utf8), descriptors: descriptors)
        }
        public func send(_ reply: LocalReply, descriptors: [Int32] = []) {
            guard let bytes = try? JSONEncoder().encode(reply) else { return }
            send(raw: String(decoding: bytes, as: UTF8.self) + "\n", descriptors: descriptors)
        }
        public func close() { isOpen = false }
    }

    /// Answers a request; false leaves it to the default.
    public typealias Script = @Sendable (Session, LocalRequest, _ library: Int32?) -> Bool

    public let socketPath: String
    private let listener: LocalListener
    private let script: Script
    private let pollMicroseconds: Int
    private let transport: TransportKind
    private let cpus: MachineCPUSet
    private let stopping = Atomic<Bool>(false)
    private let live = Mutex<[LeaseID: ExecutorUnderTest]>([:])
    private let requests = Mutex<[LocalRequest]>([])
    private let finished = DispatchSemaphore(value: 0)
    private var nextLease: UInt64 = 1

    public init(
        pollMicroseconds: Int = 200, transport: TransportKind = .shm, cpus: MachineCPUSet = .init(),
        script: @escaping Script = { _, _, _ in false }
    ) throws {
        socketPath = "\(TestLibrary.folder)/\(UInt64.random(in: 0 ... .max)).sock"
        listener = try LocalListener(path: socketPath, type: .stream, mode: 0o600)
        self.script = script
        self.pollMicroseconds = pollMicroseconds
        self.transport = transport
        self.cpus = cpus
        let thread = Thread { [self] in serve() }
        thread.stackSize = 4 << 20
        thread.start()
    }

    /// Ends everything.
    public func stop() {
        if stopping.exchange(true, ordering: .sequentiallyConsistent) { return }
        finished.wait()
    }

    /// What clients asked so far.
    public var seen: [LocalRequest] { requests.withLock { $0 } }
    public var executorPIDs: [Int32] { live.withLock { $0.values.map(\.handle.pid) } }

    /// Takes every lease back as an agent does: mark, kill, tell, reclaim.
    /// - Parameter tells: false: the word to the client is lost in a busy node.
    public func revoke(_ reason: LeaseEnd, tells: Bool = true, reclaims: Bool = true) {
        ending.withLock { $0 = reason }
        isMute.store(!tells, ordering: .sequentiallyConsistent)
        for executor in live.withLock({ Array($0.values) }) {
            executor.arena.markEnded(reason.number)
            kill(executor.handle.pid, SIGKILL)
            usleep(5000)
            if reclaims { try? executor.arena.reclaim() }
        }
    }
    private let ending = Mutex<LeaseEnd>(.executorDied)
    private let isMute = Atomic<Bool>(false)

    private func serve() {
        var sessions: [Session] = []
        while !stopping.load(ordering: .sequentiallyConsistent) {
            var watched = [pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)]
            watched += sessions.map { pollfd(fd: $0.connection.descriptor, events: Int16(POLLIN), revents: 0) }
            poll(&watched, nfds_t(watched.count), 2)
            if let connection = try? listener.accept() { sessions.append(Session(connection)) }
            for session in sessions { receive(session) }
            for session in sessions { reap(session) }
            for session in sessions where !session.isOpen { end(session) }
            sessions.removeAll { !$0.isOpen }
        }
        for session in sessions { end(session) }
        listener.close()
        finished.signal()
    }

    private func receive(_ session: Session) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer { buffer.deallocate() }
        guard let (count, descriptors) = try? session.connection.receive(into: buffer) else { return }
        if count == 0 { return session.close() }
        try? session.reader.append(buffer[..<count], descriptors: descriptors)
        while let line = session.reader.next() {
            defer { for descriptor in line.descriptors { Foundation.close(descriptor) } }
            guard let request = try? JSONDecoder().decode(LocalRequest.self, from: Data(line.bytes)) else {
                session.close()
                return
            }
            requests.withLock { $0.append(request) }
            if !script(session, request, line.descriptors.first) {
                answer(session, request, library: line.descriptors.first)
            }
        }
    }

    private func answer(_ session: Session, _ request: LocalRequest, library: Int32?) {
        switch request.kind {
        case .lease:
            guard let demand = request.lease, let library else {
                return session.send(
                    LocalReply(id: request.id, kind: .error, error: WireError(.invalid, "no demand or no library")))
            }
            grant(session, request.id, demand, library)
        case .renew:
            session.send(
                LocalReply(
                    id: request.id, kind: .renewed, leaseID: request.leaseID,
                    termEnds: Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970 + (request.termSeconds ?? 60))))
        case .release:
            if let id = request.leaseID { drop(session, id) }
            session.send(LocalReply(id: request.id, kind: .released, leaseID: request.leaseID))
        case .status:
            session.send(
                LocalReply(
                    id: request.id, kind: .status,
                    status: AgentStatus(
                        node: NodeName("test"), version: "0", leases: session.leases.count, controllerReachable: false))
            )
        case .adopt:
            session.send(
                LocalReply(id: request.id, kind: .error, error: WireError(.refused, "there is no job in this test")))
        case .userfaultfd:
            session.send(LocalReply(id: request.id, kind: .userfaultfd))
        }
    }

    private func grant(_ session: Session, _ request: UInt64, _ demand: LeaseDemand, _ library: Int32) {
        let id = LeaseID(nextLease)
        nextLease += 1
        let geometry = ArenaGeometry(
            slotCount: demand.slotCount, inputBytes: demand.inputBytes, outputBytes: demand.outputBytes,
            bufferBytes: transport == .shm ? demand.bufferBytes ?? 0 : 0)
        do {
            let executor = try ExecutorUnderTest(
                library: "/proc/self/fd/\(library)", workers: demand.cpus, geometry: geometry, cpus: cpus,
                pollMicroseconds: demand.pollMicroseconds(allowed: pollMicroseconds), transport: transport,
                leaseID: id)
            guard let report = try executor.report() else {
                return session.send(
                    LocalReply(
                        id: request, kind: .error,
                        error: WireError(.libraryUnusable, "the executor died while it loaded the library")))
            }
            if let error = report.error {
                return session.send(LocalReply(id: request, kind: .error, error: error))
            }
            session.leases[id] = executor
            live.withLock { $0[id] = executor }
            let opened = LeaseOpened(
                leaseID: id, node: NodeName("test"), workers: demand.cpus, memory: demand.memory,
                termEnds: Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970 + 600), transport: transport,
                address: report.address, secret: String(repeating: "5a", count: 32), slotCount: demand.slotCount,
                inputBytes: demand.inputBytes, outputBytes: demand.outputBytes, bufferBytes: demand.bufferBytes)
            session.send(
                LocalReply(id: request, kind: .leased, lease: opened),
                descriptors: transport == .shm ? [executor.arena.descriptor] : [])
        } catch {
            session.send(LocalReply(id: request, kind: .error, error: WireError(.internalError, "\(error)")))
        }
    }

    private func reap(_ session: Session) {
        for (id, executor) in session.leases where executor.handle.checkExit() != nil {
            executor.arena.markEnded(1)
            session.leases[id] = nil
            forget(id)
            guard !isMute.load(ordering: .sequentiallyConsistent) else { continue }
            session.send(LocalReply(kind: .ended, leaseID: id, reason: ending.withLock { $0 }))
        }
    }

    private func drop(_ session: Session, _ id: LeaseID) {
        session.leases.removeValue(forKey: id)?.kill()
        forget(id)
    }

    private func end(_ session: Session) {
        for id in session.leases.keys { drop(session, id) }
        session.connection.close()
    }

    private func forget(_ id: LeaseID) {
        // Its arena stays until the test ends: closing a descriptor of it would drop the client's locks, which are ours too.
        if let executor = live.withLock({ $0.removeValue(forKey: id) }) { graveyard.withLock { $0.append(executor) } }
    }
    private let graveyard = Mutex<[ExecutorUnderTest]>([])
}
