internal import Glibc
internal import Synchronization

/// A descriptor of a donor's memory file on its way to a region: closed with the last reference, unless a region took it.
public final class DonorFile: Sendable {
    private let descriptor: Atomic<Int32>

    /// Takes the descriptor over.
    public init(adopting descriptor: Int32) { self.descriptor = Atomic(descriptor) }

    deinit {
        let left = take()
        if left >= 0 { close(left) }
    }

    /// The descriptor, the caller's from now on; -1 when it was taken before.
    func take() -> Int32 { descriptor.exchange(-1, ordering: .relaxed) }
}
