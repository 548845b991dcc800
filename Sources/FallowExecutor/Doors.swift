internal import Glibc
internal import TransportFabric
internal import TransportVerbs

/// Where an executor waits for its client from another node.
struct Doors {
    let fabric: FabricListener
    var verbs: VerbsListener?
    /// Why there is no door over verbs although the agent wanted one.
    var verbsComplaint: String?

    init(fabric: FabricListener) { self.fabric = fabric }

    /// Sleeps until somebody may be at a door. May wake for nothing.
    func wait(atMostMilliseconds milliseconds: Int32) {
        var pollers = [fabric.descriptor, verbs?.descriptor].compactMap { $0 }
            .map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        _ = poll(&pollers, nfds_t(pollers.count), milliseconds)
    }

    func close() {
        fabric.close()
        verbs?.close()
    }
}
