public import FallowModel
internal import FallowTransport
internal import FallowWire

/// What a lease should be.
public struct LeaseOptions: Hashable, Sendable {
    /// Cores, one worker each.
    public var cpus = 1
    /// Memory for the executor with all its workers.
    public var memory = ByteCount.mebibytes(512)
    /// How long at most; nil is the site's default.
    public var term: Duration?
    /// How long to wait for capacity.
    public var wait = Duration.zero
    /// Most bytes of payload of one call.
    public var inputBytes = 1 << 20
    /// Most bytes of result of one call.
    public var outputBytes = 1 << 20
    /// Bytes of memory for buffers, shared by all workers.
    public var bufferBytes = 0
    /// Calls in flight for each worker, a power of two.
    public var slotCount = 16
    /// How long a worker may poll for the next call before it sleeps: what it polls is CPU time of this lease's. Zero never polls;
    /// nil is as long as the site allows, and no more is ever given. At most a second.
    public var polling: Duration?
    /// This node of the cluster only.
    public var node: NodeName?
    /// Not on this node, even when it has capacity.
    public var isRemote = false

    public init() {}

    /// Throws `.invalid` with what is wrong and what would be right.
    func check() throws(FallowError) {
        guard (1...1024).contains(cpus) else {
            throw FallowError(.invalid, "a lease has 1 to 1024 cpus, not \(cpus)")
        }
        guard memory.bytes > 0 else { throw FallowError(.invalid, "a lease needs memory, not \(memory)") }
        guard (term ?? .zero) >= .zero else { throw FallowError(.invalid, "a lease's term cannot be negative") }
        guard wait >= .zero, wait <= .seconds(3600) else {
            throw FallowError(.invalid, "waiting for capacity takes 0 s to an hour, not \(wait)")
        }
        guard (Duration.zero ... .seconds(1)).contains(polling ?? .zero) else {
            throw FallowError(.invalid, "a worker polls 0 s to a second before it sleeps, not \(polling ?? .zero)")
        }
        let geometry = ArenaGeometry(
            slotCount: slotCount, inputBytes: inputBytes, outputBytes: outputBytes, bufferBytes: bufferBytes)
        if let complaint = geometry.complaint { throw FallowError(.invalid, complaint) }
    }

    func demand(libraryName: String) -> LeaseDemand {
        LeaseDemand(
            cpus: cpus, memory: memory, termSeconds: term?.inSeconds ?? 0, waitSeconds: wait.inSeconds,
            slotCount: slotCount, inputBytes: inputBytes, outputBytes: outputBytes, node: node, remote: isRemote,
            libraryName: libraryName, bufferBytes: bufferBytes == 0 ? nil : bufferBytes,
            pollSeconds: polling?.inSeconds)
    }
}
