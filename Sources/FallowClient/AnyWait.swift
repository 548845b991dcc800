internal import CLinux
internal import Glibc
internal import Synchronization

/// Waiting for the first of several calls, on whichever workers they are.
struct AnyWait {
    let calls: [CallPointer]
    let deadline: Deadline

    /// - Returns: the index of one that is done; nil when the deadline came first.
    func result() -> Int? {
        var now = monotonicNanoseconds()
        let pollEnd = min(now + WaitPolicy.pollNanoseconds, deadline.nanoseconds)
        var backoff = Backoff()
        while true {
            if let index = done { return index }
            for call in calls { worker(of: call) { _ = $0.progress(until: call, polls: 1) } }
            if let index = done { return index }
            now = monotonicNanoseconds()
            if now < pollEnd { continue }
            guard now < deadline.nanoseconds else { return nil }
            for call in calls { call.pointee.lease?._withUnsafeGuaranteedRef { $0.look(now: now, besides: nil) } }
            let span = min(WaitPolicy.longestTurnNanoseconds, deadline.nanoseconds - now)
            if !sleep(atMostNanoseconds: span) { backoff.pause(until: deadline.nanoseconds) }
        }
    }

    private var done: Int? { calls.firstIndex { $0.pointee.isDone } }

    private func worker(of call: CallPointer, _ body: (WorkerConnection) -> Void) {
        call.pointee.worker?._withUnsafeGuaranteedRef(body)
    }

    /// Sleeps until one of the workers has answered, somebody took an answer in, or the time-out passed.
    /// - Returns: false when there is nothing that all of them could wake this thread by.
    private func sleep(atMostNanoseconds timeout: Int64) -> Bool {
        var words: [UnsafeRawPointer?] = []
        var announced = 0
        var hasCome = false
        var canSleep = true
        for call in calls {
            worker(of: call) {
                if !$0.sleepsOnWord {
                    canSleep = false
                } else if let word = $0.beginSleep(for: call) {
                    announced += 1
                    if !words.contains(word) { words.append(word) }
                } else {
                    hasCome = true
                }
            }
            if hasCome || !canSleep { break }
        }
        if canSleep, !hasCome {
            canSleep = clinux_futex_wait_any(&words, Int32(words.count), 1, timeout) != ENOSYS
        }
        for call in calls[..<announced] { worker(of: call) { $0.endSleep(for: call) } }
        return canSleep
    }
}
