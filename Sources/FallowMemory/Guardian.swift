internal import Glibc
internal import Synchronization

/// The thread of a region of pairs: it notices that a donor is lost though nobody uses the region, and has copied anew what
/// the donor held, before another is lost.
final class Guardian: Sendable {
    /// How often it looks.
    private static let intervalMicroseconds: UInt32 = 20_000

    private let isStopped = Atomic<Bool>(false)
    private let thread = Mutex<pthread_t?>(nil)

    private final class Post {
        weak var region: Region?
        let guardian: Guardian
        init(_ region: Region, _ guardian: Guardian) {
            self.region = region
            self.guardian = guardian
        }
    }

    func watch(_ region: Region) {
        thread.withLock { thread in
            let post = Unmanaged.passRetained(Post(region, self)).toOpaque()
            var signals = sigset_t()
            var before = sigset_t()
            sigfillset(&signals)
            // The thread takes none of the program's signals.
            pthread_sigmask(SIG_SETMASK, &signals, &before)
            var made = pthread_t()
            let code = pthread_create(
                &made, nil,
                { argument in
                    guard let argument else { return nil }
                    let post = Unmanaged<Post>.fromOpaque(argument).takeRetainedValue()
                    while !post.guardian.isStopped.load(ordering: .acquiring) {
                        let isBusy = { () -> Bool? in
                            guard let region = post.region else { return nil }
                            region.tend()
                            return region.isProtecting
                        }()
                        guard let isBusy else { break }
                        usleep(isBusy ? 200 : Guardian.intervalMicroseconds)
                    }
                    return nil
                }, post)
            pthread_sigmask(SIG_SETMASK, &before, nil)
            if code == 0 { thread = made } else { Unmanaged<Post>.fromOpaque(post).release() }
        }
    }

    func stop() {
        isStopped.store(true, ordering: .releasing)
        let joined = thread.withLock { thread -> pthread_t? in
            defer { thread = nil }
            return thread
        }
        // The last reference may go in the thread itself.
        if let joined {
            if pthread_equal(joined, pthread_self()) != 0 { pthread_detach(joined) } else { pthread_join(joined, nil) }
        }
    }
}
