internal import CFabric
internal import CLinux
internal import FallowTransport
internal import Glibc
internal import TransportHandshake

/// Everything of libfabric's that one connection owns, but for what is registered with it.
///
/// One domain for each connection: a key that its peer got opens what was registered here, nothing else. Closed when the
/// last reference goes; a registration holds one.
package final class FabricPipe {
    let root: FabricRoot
    let events: FabricEvents
    let domain: UnsafeMutablePointer<fid_domain>
    let completions: UnsafeMutablePointer<fid_cq>
    let completionsDescriptor: CInt
    let endpoint: UnsafeMutablePointer<fid_ep>
    private var isEndpointOpen = true

    /// - Parameters:
    ///   - queueEntries: completions that have room.
    ///   - hasTakenHandle: set once libfabric's endpoint owns the connection that a request's information names, also when a
    ///     later step throws: it must not be rejected any more then.
    init(
        _ information: FabricInformation, root: FabricRoot, queueEntries: Int, hasTakenHandle: inout Bool
    ) throws(FabricError) {
        self.root = root
        var opened: [UnsafeMutablePointer<CFabric.fid>] = []
        do throws(FabricError) {
            events = try FabricEvents(root)
            let domain = try fabricOpened("a domain") { fi_domain(root.fabric, information.pointer, $0, nil) }
            opened.append(fid(domain))
            self.domain = domain
            var queueShape = fi_cq_attr()
            queueShape.format = FI_CQ_FORMAT_DATA
            queueShape.wait_obj = FI_WAIT_FD
            queueShape.size = queueEntries
            let completions = try fabricOpened("a completion queue") { fi_cq_open(domain, &queueShape, $0, nil) }
            opened.append(fid(completions))
            self.completions = completions
            var wait: CInt = -1
            try fabricCheck(fi_control(fid(completions), CInt(FI_GETWAIT), &wait), "give a queue's descriptor")
            completionsDescriptor = wait
            let endpoint = try fabricOpened("an endpoint") { fi_endpoint(domain, information.pointer, $0, nil) }
            opened.append(fid(endpoint))
            self.endpoint = endpoint
            hasTakenHandle = true
            try fabricCheck(fi_ep_bind(endpoint, fid(events.queue), 0), "bind the event queue")
            let binding = UInt64(FI_TRANSMIT) | UInt64(FI_RECV) | UInt64(FI_SELECTIVE_COMPLETION)
            try fabricCheck(fi_ep_bind(endpoint, fid(completions), binding), "bind the completion queue")
            try fabricCheck(fi_enable(endpoint), "enable the endpoint")
        } catch {
            for object in opened.reversed() { fi_close(object) }
            throw error
        }
    }

    deinit {
        closeEndpoint()
        fi_close(fid(completions))
        fi_close(fid(domain))
    }

    /// Ends the connection; what was in flight does not touch its buffers afterwards. Idempotent.
    func closeEndpoint() {
        guard isEndpointOpen else { return }
        isEndpointOpen = false
        fi_close(fid(endpoint))
    }

    /// Connects to a listener. Blocks until the deadline at most.
    /// - Returns: what came with the listener's accept.
    func connect(
        _ request: [UInt8], to information: FabricInformation, until deadline: MonotonicDeadline
    ) throws(TransportError) -> [UInt8] {
        let result = fi_connect(endpoint, information.pointer.pointee.dest_addr, request, request.count)
        guard result == 0 else { throw .system(code: -result) }
        switch events.next(until: deadline) {
        case nil: throw .timedOut
        case .connected(let data): return data
        case .failed(_, let data) where data.starts(with: FabricIntroduction.refusal): throw .refused
        case .failed(let code, _): throw .system(code: code)
        case .shutdown: throw .peerLost
        case .request: throw .protocolViolation
        }
    }

    /// Whether the peer's end has been seen, right after connecting and before any message.
    var isAlreadyGone: Bool {
        // The provider looks at the socket when it is asked for completions; there can be none yet.
        _ = fi_cq_read(completions, nil, 0)
        return events.next() != nil
    }

    /// Whether sleeping on the descriptors is safe just now: false when something is there already.
    var mayWait: Bool {
        var both: (UnsafeMutablePointer<CFabric.fid>?, UnsafeMutablePointer<CFabric.fid>?) = (
            fid(completions), fid(events.queue)
        )
        return withUnsafeMutableBytes(of: &both) { bytes in
            guard let base = bytes.assumingMemoryBound(to: UnsafeMutablePointer<CFabric.fid>?.self).baseAddress else {
                return false
            }
            return fi_trywait(root.fabric, base, 2) == 0
        }
    }

    /// Sleeps until the provider has work or the time is over. Never longer than 50 ms: a provider that forgets to signal
    /// costs a little time, nothing else.
    func wait(atMostMilliseconds milliseconds: CInt) {
        guard mayWait else { return }
        var pollers = (
            pollfd(fd: completionsDescriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: events.descriptor, events: Int16(POLLIN), revents: 0)
        )
        withUnsafeMutableBytes(of: &pollers) { bytes in
            _ = Glibc.poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, min(milliseconds, 50))
        }
    }

    /// The process's own socket behind the connection; nil when it cannot be found. It is the pipe's, who closes it.
    var socket: CInt? {
        withUnsafeTemporaryAllocation(of: sockaddr_storage.self, capacity: 2) { names -> CInt? in
            guard let base = names.baseAddress else { return nil }
            var localBytes = MemoryLayout<sockaddr_storage>.size
            var remoteBytes = localBytes
            guard fi_getname(fid(endpoint), base, &localBytes) == 0,
                fi_getpeer(endpoint, base + 1, &remoteBytes) == 0
            else { return nil }
            return base.withMemoryRebound(to: sockaddr.self, capacity: 1) { local in
                (base + 1).withMemoryRebound(to: sockaddr.self, capacity: 1) { remote in
                    let found = cfabric_find_socket(local, remote)
                    return found < 0 ? nil : found
                }
            }
        }
    }

    /// Has the kernel give the peer up after about 2 s of silence when its network is cut. Best effort: without it the
    /// bound is the kernel's own (`tcp_retries2`, minutes) for a peer that vanishes without a word.
    func boundSilence() {
        if let socket { _ = clinux_stream_bound_silence(socket, 1500) }
    }
}

/// Opens one of libfabric's objects.
func fabricOpened<Object>(
    _ what: String, _ open: (UnsafeMutablePointer<UnsafeMutablePointer<Object>?>) -> CInt
) throws(FabricError) -> UnsafeMutablePointer<Object> {
    var object: UnsafeMutablePointer<Object>?
    try fabricCheck(open(&object), "open \(what)")
    guard let object else { throw FabricError("libfabric opened nothing as \(what)", code: EIO) }
    return object
}

/// Memory that is registered with a connection; not any more when this object goes.
final class FabricRegistration {
    private let region: UnsafeMutablePointer<fid_mr>
    private let pipe: FabricPipe

    /// - Parameter access: FI_REMOTE_READ and the like.
    init(
        _ what: String, _ memory: UnsafeMutableRawPointer, bytes: Int, access: UInt64, with pipe: FabricPipe
    ) throws(FabricError) {
        region = try fabricOpened("the registration of \(what)") {
            fi_mr_reg(pipe.domain, memory, bytes, access, 0, .random(in: .min ... .max), 0, $0, nil)
        }
        self.pipe = pipe
    }
    deinit { fi_close(fid(region)) }

    /// What to pass with local addresses of the memory.
    var descriptor: UnsafeMutableRawPointer? { fi_mr_desc(region) }
    /// What the peer has to know to reach it.
    var key: UInt64 { fi_mr_key(region) }
}
