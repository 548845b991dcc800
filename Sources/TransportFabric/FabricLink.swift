internal import CFabric
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// Everything of libfabric's that one connection owns, and its slots; closed in order when the last reference goes.
///
/// One domain and one registration for each connection: a peer's key opens this worker's incoming slots for writing,
/// nothing else.
package final class FabricLink {
    let root: FabricRoot
    let events: FabricEvents
    let domain: UnsafeMutablePointer<fid_domain>
    let completions: UnsafeMutablePointer<fid_cq>
    let completionsDescriptor: CInt
    let endpoint: UnsafeMutablePointer<fid_ep>
    private let incomingRegion: UnsafeMutablePointer<fid_mr>
    private let outgoingRegion: UnsafeMutablePointer<fid_mr>?
    let incomingBase: UnsafeMutableRawPointer
    let outgoingBase: UnsafeMutableRawPointer
    let incomingStride: Int
    let outgoingStride: Int
    private let mappedBytes: Int
    /// Where the peer writes to reach us.
    package let window: FabricWindow

    /// What to pass with every local address.
    var outgoingDescriptor: UnsafeMutableRawPointer? { outgoingRegion.flatMap { fi_mr_desc($0) } }

    /// - Parameter hasTakenHandle: set once libfabric's endpoint owns the connection that a request's information names,
    ///   also when a later step throws: it must not be rejected any more then.
    init(
        _ information: FabricInformation, root: FabricRoot, geometry: ArenaGeometry, isClient: Bool,
        hasTakenHandle: inout Bool
    ) throws(FabricError) {
        self.root = root
        incomingStride = isClient ? geometry.outputStrideBytes : geometry.inputStrideBytes
        outgoingStride = isClient ? geometry.inputStrideBytes : geometry.outputStrideBytes
        let incomingBytes = geometry.slotCount * incomingStride
        let outgoingBytes = geometry.slotCount * outgoingStride
        var steps = Steps()
        do throws(FabricError) {
            events = try FabricEvents(root)
            let domain = try steps.opened("a domain") { fi_domain(root.fabric, information.pointer, $0, nil) }
            self.domain = domain
            var queueShape = fi_cq_attr()
            queueShape.format = FI_CQ_FORMAT_DATA
            queueShape.wait_obj = FI_WAIT_FD
            queueShape.size = geometry.slotCount * 4
            let completions = try steps.opened("a completion queue") { fi_cq_open(domain, &queueShape, $0, nil) }
            self.completions = completions
            var wait: CInt = -1
            try fabricCheck(fi_control(fid(completions), CInt(FI_GETWAIT), &wait), "give a queue's descriptor")
            completionsDescriptor = wait
            let endpoint = try steps.opened("an endpoint") { fi_endpoint(domain, information.pointer, $0, nil) }
            self.endpoint = endpoint
            hasTakenHandle = true
            try fabricCheck(fi_ep_bind(endpoint, fid(events.queue), 0), "bind the event queue")
            let binding = UInt64(FI_TRANSMIT) | UInt64(FI_RECV) | UInt64(FI_SELECTIVE_COMPLETION)
            try fabricCheck(fi_ep_bind(endpoint, fid(completions), binding), "bind the completion queue")
            try fabricCheck(fi_enable(endpoint), "enable the endpoint")

            mappedBytes = incomingBytes + outgoingBytes
            guard
                let memory = mmap(
                    nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                memory != MAP_FAILED
            else { throw FabricError("cannot map \(mappedBytes) bytes of slots", code: errno) }
            steps.memory = (memory, mappedBytes)
            incomingBase = memory
            outgoingBase = memory + incomingBytes

            incomingRegion = try steps.opened("the incoming slots' registration") {
                fi_mr_reg(
                    domain, memory, incomingBytes, UInt64(FI_REMOTE_WRITE), 0, .random(in: .min ... .max), 0, $0, nil)
            }
            if information.needsLocalRegistration {
                outgoingRegion = try steps.opened("the outgoing slots' registration") {
                    fi_mr_reg(
                        domain, memory + incomingBytes, outgoingBytes, UInt64(FI_WRITE), 0, .random(in: .min ... .max),
                        0,
                        $0, nil)
                }
            } else {
                outgoingRegion = nil
            }
            let base = information.usesVirtualAddresses ? UInt64(UInt(bitPattern: memory)) : 0
            window = FabricWindow(address: base, key: fi_mr_key(incomingRegion))
        } catch {
            steps.undo()
            throw error
        }
    }

    deinit {
        fi_close(fid(endpoint))
        if let outgoingRegion { fi_close(fid(outgoingRegion)) }
        fi_close(fid(incomingRegion))
        fi_close(fid(completions))
        fi_close(fid(domain))
        munmap(incomingBase, mappedBytes)
    }

    /// Whether the peer's end has been seen, right after connecting and before any message.
    var isAlreadyGone: Bool {
        // The provider looks at the socket when it is asked for completions; there can be none yet.
        _ = fi_cq_read(completions, nil, 0)
        return events.next() != nil
    }

    /// Has the kernel give the peer up after about 2 s of silence when its network is cut. Best effort: without it the
    /// bound is the kernel's own (`tcp_retries2`, minutes) for a peer that vanishes without a word.
    func boundSilence() {
        withUnsafeTemporaryAllocation(of: sockaddr_storage.self, capacity: 2) { names in
            guard let base = names.baseAddress else { return }
            var localBytes = MemoryLayout<sockaddr_storage>.size
            var remoteBytes = localBytes
            guard fi_getname(fid(endpoint), base, &localBytes) == 0,
                fi_getpeer(endpoint, base + 1, &remoteBytes) == 0
            else { return }
            base.withMemoryRebound(to: sockaddr.self, capacity: 1) { local in
                (base + 1).withMemoryRebound(to: sockaddr.self, capacity: 1) { remote in
                    _ = cfabric_bound_peer_silence(local, remote, 1500)
                }
            }
        }
    }

    /// What was opened so far, to be closed when a later step fails.
    private struct Steps {
        var opened: [UnsafeMutablePointer<CFabric.fid>] = []
        var memory: (UnsafeMutableRawPointer, Int)?

        mutating func opened<Object>(
            _ what: String, _ open: (UnsafeMutablePointer<UnsafeMutablePointer<Object>?>) -> CInt
        ) throws(FabricError) -> UnsafeMutablePointer<Object> {
            var object: UnsafeMutablePointer<Object>?
            try fabricCheck(open(&object), "open \(what)")
            guard let object else { throw FabricError("libfabric opened nothing as \(what)", code: EIO) }
            opened.append(fid(object))
            return object
        }
        func undo() {
            for object in opened.reversed() { fi_close(object) }
            if let (address, bytes) = memory { munmap(address, bytes) }
        }
    }
}
