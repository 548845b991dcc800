internal import CLinux

/// Lets the calling thread run before everything ordinary on this node: it has to answer within milliseconds while jobs, and
/// functions that are to be killed, keep every CPU busy. What it starts does not inherit that.
///
/// A thread that then computes for 2 s without once waiting has a bug, and the kernel ends the process (setrlimit(2), RLIMIT_RTTIME).
/// - Throws: `.notPermitted` without CAP_SYS_NICE, or in a v1 cpu cgroup without real-time budget (sched(7)).
public func runThisThreadFirst() throws(HostError) {
    let code = clinux_thread_run_first()
    if code != 0 { throw .system("this thread cannot run before ordinary ones", -code) }
}
