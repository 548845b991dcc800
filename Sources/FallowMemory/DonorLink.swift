internal import FallowClient
internal import FallowTransport
internal import Glibc
internal import TransportShm
internal import TransportStream
internal import TransportVerbs

/// A region's connection to one donor: what waits to be posted, what is in flight, since when. For one kind of endpoint each,
/// as `DonorLink.open` chooses.
class DonorLink {
    struct Post {
        var isRead: Bool
        var buffer: UnsafeMutableRawBufferPointer
        var offset: Int
        var token: UInt64
    }
    /// A connect over verbs may take so long until TCP is tried in its place.
    private static let verbsTimeout: Duration = .seconds(3)

    let grant: DonorGrant
    /// What waits for room, oldest first.
    var backlog: [Post] = []
    /// When something last completed or was begun with nothing in flight.
    var lastNanoseconds: Int64 = 0
    /// Reads complete in the calling thread.
    var isImmediate: Bool { false }
    var isOver: Bool { true }
    var inFlight: Int { 0 }

    fileprivate init(_ grant: DonorGrant) { self.grant = grant }

    static func open(_ grant: DonorGrant, timeout: Duration) throws(FallowError) -> DonorLink {
        switch grant.path {
        case .shm(let file):
            do throws(ShmArenaError) {
                return Linked(
                    try ShmMemoryEndpoint(adopting: file.take(), capacityBytes: grant.capacityBytes), grant,
                    isImmediate: true)
            } catch { throw FallowError(.internalError, "a donor on this node cannot be used: \(error)") }
        case .network(let path): return try open(path, grant, until: .now + timeout)
        }
    }

    /// Over verbs where both nodes have it, else over TCP.
    private static func open(
        _ path: DonorGrant.NetworkPath, _ grant: DonorGrant, until deadline: ContinuousClock.Instant
    ) throws(FallowError) -> DonorLink {
        if let address = path.verbsAddress, ((try? VerbsDevice.names()) ?? []).isEmpty == false {
            let endpoint = Result { () throws(TransportError) in
                Linked(
                    try VerbsMemoryEndpoint.connect(
                        address: address, leaseID: path.leaseID, secret: path.secret,
                        capacityBytes: grant.capacityBytes, source: path.verbsSource,
                        timeout: min(verbsTimeout, deadline - .now)), grant, isImmediate: false)
            }
            if case .success(let link) = endpoint { return link }
        }
        do throws(TransportError) {
            return Linked(
                try StreamMemoryEndpoint.connect(
                    address: path.address, leaseID: path.leaseID, secret: path.secret,
                    capacityBytes: grant.capacityBytes, timeout: max(.zero, deadline - .now)), grant, isImmediate: false
            )
        } catch { throw FallowError(.internalError, "the donor at \(path.address) cannot be reached: \(error)") }
    }

    /// Posts, or keeps for later. - Returns: false when the donor is gone.
    func post(_ post: Post) -> Bool { false }
    func poll() -> MemoryCompletion? { nil }
    func beginSleep(_ descriptors: inout [Int32]) -> Bool { true }
    /// Ends it: everything that was posted is to be polled, and what waited is in `backlog`.
    func close() {}
}

private final class Linked<Endpoint: MemoryEndpoint & ~Copyable>: DonorLink {
    private var endpoint: Endpoint
    private let immediate: Bool

    init(_ endpoint: consuming Endpoint, _ grant: DonorGrant, isImmediate: Bool) {
        self.endpoint = endpoint
        immediate = isImmediate
        super.init(grant)
    }

    override var isImmediate: Bool { immediate }
    override var isOver: Bool { endpoint.isOver }
    override var inFlight: Int { endpoint.inFlight + backlog.count }

    override func post(_ post: Post) -> Bool {
        if inFlight == 0 { lastNanoseconds = nowNanoseconds() }
        guard backlog.isEmpty else {
            backlog.append(post)
            return true
        }
        switch start(post) {
        case .some(let isStarted): return isStarted
        case .none: backlog.append(post)
        }
        return true
    }

    /// - Returns: nil when there is no room now, false when the donor is gone.
    private func start(_ post: Post) -> Bool? {
        do throws(TransportError) {
            if post.isRead {
                try endpoint.read(into: post.buffer, at: post.offset, token: post.token)
            } else {
                try endpoint.write(from: UnsafeRawBufferPointer(post.buffer), at: post.offset, token: post.token)
            }
            return true
        } catch { return error == .ringFull ? nil : false }
    }

    override func poll() -> MemoryCompletion? {
        let completion = endpoint.poll()
        if completion != nil, !immediate { lastNanoseconds = nowNanoseconds() }
        if completion != nil || endpoint.inFlight == 0 {
            var started = 0
            while started < backlog.count, start(backlog[started]) == true { started += 1 }
            if started > 0 { backlog.removeFirst(started) }
        }
        return completion
    }

    override func beginSleep(_ descriptors: inout [Int32]) -> Bool { endpoint.beginSleep(&descriptors) }
    override func close() { endpoint.close() }
}

/// Reads the monotonic clock; answered without entering the kernel (vDSO).
func nowNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
}
