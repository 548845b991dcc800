internal import CLinux
internal import CRDMA
internal import Glibc

/// The end of a connect that came to nothing, on a thread of its own.
///
/// When an accept is never taken up, because the client died, Linux may hold up whoever destroys its id (`cm_destroy_id`) for as
/// long as it would have sent the accept again: 15 times 4.3 s. A listener has others to let in meanwhile.
enum VerbsBurial {
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
        var thread: UInt64 = 0
        let code = clinux_thread_start(
            { Unmanaged<Remains>.fromOpaque($0!).release() }, remains.toOpaque(), "verbs-burial", -1, &thread)
        guard code == 0 else { return remains.release() }
        pthread_detach(pthread_t(thread))
    }
}
