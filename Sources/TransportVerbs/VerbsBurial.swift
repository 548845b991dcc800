internal import CRDMA
internal import Glibc

/// The end of a connect that came to nothing, on a thread of its own.
///
/// When an accept is never taken up, because the client died, Linux may hold up whoever destroys its id (`cm_destroy_id`) for as
/// long as it would have sent the accept again: 15 times 4.3 s. A listener has others to let in meanwhile.
enum VerbsBurial {
    private static let stackBytes = 128 << 10

    private final class Remains {
        let pointer: UnsafeMutablePointer<rdma_cm_id>
        /// Closed after the id is gone.
        let events: VerbsEvents
        init(_ pointer: UnsafeMutablePointer<rdma_cm_id>, _ events: VerbsEvents) {
            self.pointer = pointer
            self.events = events
        }
        deinit { crdma_destroy_id(pointer) }
    }

    /// Destroys an id that nobody refers to any more. Blocks only where no thread can be had: the lease's cgroup bounds how many.
    static func bury(_ pointer: UnsafeMutablePointer<rdma_cm_id>, _ events: VerbsEvents) {
        let remains = Unmanaged.passRetained(Remains(pointer, events))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackBytes)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { remains in
                Unmanaged<Remains>.fromOpaque(remains!).release()
                return nil
            }, remains.toOpaque())
        if code != 0 { remains.release() }
    }
}
