internal import Glibc

/// How a process of a lease takes signals.
package enum Temper {
    /// Call it first.
    package static func settle() {
        // What functions print goes to a bounded file or pipe: when that is full or gone, printing fails, and no more.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        // A crash is heard of when the process is gone: neither Swift's backtracer (a second) nor a core file comes first.
        for crash in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGQUIT] { signal(crash, SIG_DFL) }
        var noCore = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &noCore)
    }
}
