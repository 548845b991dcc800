internal import CLinux
public import FallowModel
internal import FallowTransport
internal import Glibc
public import TransportShm
public import TransportStream
public import TransportVerbs

/// A donor in a process of its own, and its agent, who is played here. Ended with this object.
public final class Donor: @unchecked Sendable {
    public static let lease = LeaseID(1)
    public static let secret = [UInt8](repeating: 7, count: 32)

    public let capacityBytes: Int
    public let memory: DonorMemory?
    public let reach: Reach
    private let process: PeerProcess

    /// Where it listens, when it is reached over the network.
    public var address: String { process.greeting }

    /// How borrowers get at its memory.
    public enum Reach: Sendable {
        case shm, stream
        /// On another host, at the end of a wire.
        case streamOver(Wire)
        /// Listening on an RDMA device's address.
        case verbs(bindAddress: String)
    }

    public convenience init(isHere: Bool, capacityBytes: Int) throws {
        try self.init(isHere ? .shm : .stream, capacityBytes: capacityBytes)
    }

    public init(_ reach: Reach, capacityBytes: Int) throws {
        self.capacityBytes = capacityBytes
        self.reach = reach
        switch reach {
        case .shm:
            let memory = try DonorMemory(capacityBytes: capacityBytes)
            self.memory = memory
            process = try PeerProcess(
                ["memory-shm", "\(capacityBytes)", "0", "0", "donor"], descriptor: memory.descriptor)
        case .stream:
            memory = nil
            process = try PeerProcess(["memory-stream", "\(capacityBytes)", "0", "0", "donor", "7", "127.0.0.1"])
        case .streamOver(let wire):
            memory = nil
            process = try PeerProcess(
                ["memory-stream", "\(capacityBytes)", "0", "0", "donor", "7", wire.farAddress], launcher: wire.launcher)
        case .verbs(let address):
            memory = nil
            process = try PeerProcess(["memory-verbs", "\(capacityBytes)", "0", "0", "donor", "7", address])
        }
    }

    /// - Parameter source: where the borrower comes from; nil leaves it to the routes.
    public func verbsEndpoint(
        from source: String?, secret: [UInt8] = Donor.secret, lease: LeaseID = Donor.lease, capacityBytes: Int? = nil
    ) throws -> VerbsMemoryEndpoint {
        try VerbsMemoryEndpoint.connect(
            address: process.greeting, leaseID: lease, secret: secret,
            capacityBytes: capacityBytes ?? self.capacityBytes, source: source, timeout: .seconds(5))
    }

    public func shmEndpoint() throws -> ShmMemoryEndpoint {
        try ShmMemoryEndpoint(adopting: copiedDescriptor, capacityBytes: capacityBytes)
    }

    public func streamEndpoint(
        secret: [UInt8] = Donor.secret, lease: LeaseID = Donor.lease, capacityBytes: Int? = nil
    ) throws -> StreamMemoryEndpoint {
        try StreamMemoryEndpoint.connect(
            address: process.greeting, leaseID: lease, secret: secret,
            capacityBytes: capacityBytes ?? self.capacityBytes, timeout: .seconds(5))
    }

    /// Of its memory file, when it is on this node; the caller's.
    public var copiedDescriptor: Int32 { fcntl(memory?.descriptor ?? -1, F_DUPFD_CLOEXEC, 3) }

    public func freeze() { process.signal(SIGSTOP) }
    public func thaw() { process.signal(SIGCONT) }

    /// Ends the lease as an agent does: marks, kills, takes back.
    public func revoke() throws {
        memory?.markEnded(3)
        process.signal(SIGKILL)
        process.reap()
        try memory?.reclaim()
    }
    /// The donor dies, and its agent sees that and ends the lease.
    public func die() throws {
        process.signal(SIGKILL)
        process.reap()
        try memory?.reclaim()
    }

    /// Its memory goes without a word; over a network, everything that is said to it from now on.
    public func cut() {
        if let memory { _ = ftruncate(memory.descriptor, 4096) } else { freeze() }
    }

    // What no agent does, for the negative controls.

    /// The memory becomes zeros, and nothing says so.
    public func punchSilently() {
        if let memory { _ = clinux_arena_punch(memory.descriptor, 4096, Int64(capacityBytes)) }
    }
    /// Ends the lease and the donor, and lets the memory lie.
    public func endWithoutTakingBack() {
        memory?.markEnded(3)
        process.signal(SIGKILL)
        process.reap()
    }
}
