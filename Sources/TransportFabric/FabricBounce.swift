internal import CFabric
internal import Glibc

/// Memory that is registered once with a connection, for the small operations of providers that want local memory registered.
final class FabricBounce {
    /// Copying this much costs less than a registration.
    static let slotBytes = 16384

    private let memory: UnsafeMutableRawPointer
    private let registration: FabricRegistration
    private let bytes: Int

    init(slots: Int, pipe: FabricPipe) throws(FabricError) {
        bytes = slots * Self.slotBytes
        guard
            let mapped = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            mapped != MAP_FAILED
        else { throw FabricError("cannot map \(bytes) bytes of bounce memory", code: errno) }
        memory = mapped
        do throws(FabricError) {
            registration = try FabricRegistration(
                "bounce memory", mapped, bytes: bytes, access: UInt64(FI_READ) | UInt64(FI_WRITE), with: pipe)
        } catch {
            munmap(mapped, bytes)
            throw error
        }
    }
    deinit { munmap(memory, bytes) }

    var descriptor: UnsafeMutableRawPointer? { registration.descriptor }
    func slot(_ index: Int) -> UnsafeMutableRawPointer { memory + index * Self.slotBytes }
}
