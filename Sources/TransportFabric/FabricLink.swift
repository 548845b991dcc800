internal import CFabric
internal import FallowTransport
internal import Glibc

/// One connection for calls: libfabric's objects, and this side's slots; closed in order when the last reference goes.
///
/// One registration for each connection: a peer's key opens this worker's incoming slots for writing, nothing else.
package final class FabricLink: FabricAcceptable {
    let pipe: FabricPipe
    let events: FabricEvents
    let completions: UnsafeMutablePointer<fid_cq>
    let endpoint: UnsafeMutablePointer<fid_ep>
    private let incomingRegion: FabricRegistration
    private let outgoingRegion: FabricRegistration?
    let incomingBase: UnsafeMutableRawPointer
    let outgoingBase: UnsafeMutableRawPointer
    let incomingStride: Int
    let outgoingStride: Int
    private let mappedBytes: Int
    /// Where the peer writes to reach us.
    package let window: FabricWindow

    /// What to pass with every local address.
    var outgoingDescriptor: UnsafeMutableRawPointer? { outgoingRegion?.descriptor }

    /// - Parameter hasTakenHandle: as in `FabricPipe`.
    init(
        _ information: FabricInformation, root: FabricRoot, geometry: ArenaGeometry, isClient: Bool,
        hasTakenHandle: inout Bool
    ) throws(FabricError) {
        incomingStride = isClient ? geometry.outputStrideBytes : geometry.inputStrideBytes
        outgoingStride = isClient ? geometry.inputStrideBytes : geometry.outputStrideBytes
        let incomingBytes = geometry.slotCount * incomingStride
        let outgoingBytes = geometry.slotCount * outgoingStride
        pipe = try FabricPipe(
            information, root: root, queueEntries: geometry.slotCount * 4, hasTakenHandle: &hasTakenHandle)
        events = pipe.events
        completions = pipe.completions
        endpoint = pipe.endpoint

        mappedBytes = incomingBytes + outgoingBytes
        guard
            let memory = mmap(
                nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            memory != MAP_FAILED
        else { throw FabricError("cannot map \(mappedBytes) bytes of slots", code: errno) }
        incomingBase = memory
        outgoingBase = memory + incomingBytes
        do throws(FabricError) {
            incomingRegion = try FabricRegistration(
                "the incoming slots", memory, bytes: incomingBytes, access: UInt64(FI_REMOTE_WRITE), with: pipe)
            outgoingRegion =
                information.needsLocalRegistration
                ? try FabricRegistration(
                    "the outgoing slots", memory + incomingBytes, bytes: outgoingBytes, access: UInt64(FI_WRITE),
                    with: pipe)
                : nil
        } catch {
            munmap(memory, mappedBytes)
            throw error
        }
        let base = information.usesVirtualAddresses ? UInt64(UInt(bitPattern: memory)) : 0
        window = FabricWindow(address: base, key: incomingRegion.key)
    }

    deinit {
        // Nothing arrives in the slots any more.
        pipe.closeEndpoint()
        munmap(incomingBase, mappedBytes)
    }
}
