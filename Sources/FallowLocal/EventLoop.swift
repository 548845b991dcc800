internal import CLinux
internal import Glibc
internal import Synchronization

/// A single-threaded event loop: descriptors, timers and work posted from other threads.
///
/// The thread that calls `run()` owns the loop until `run()` returns; before that, the thread that made it. Only `post` and
/// `stop` may be called from any thread; everything else on the owner's thread alone (checked). Handlers run there, one at a time,
/// and may cancel any registration, their own included: a cancelled handler does not run again, not even for an event
/// that had already been fetched.
public final class EventLoop: @unchecked Sendable {
    /// What a descriptor is watched for, or what happened to it.
    public struct Events: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// There is something to read, or the peer has closed its side.
        public static let readable = Events(rawValue: UInt32(CLINUX_EPOLL_READABLE))
        public static let writable = Events(rawValue: UInt32(CLINUX_EPOLL_WRITABLE))
        /// The descriptor is closed or broken. Always reported, asked for or not.
        public static let hangup = Events(rawValue: UInt32(CLINUX_EPOLL_HANGUP))
        /// An exceptional condition, as files like cgroup.events and PSI triggers report their changes.
        public static let priority = Events(rawValue: UInt32(CLINUX_EPOLL_PRIORITY))
    }

    /// Names one registration; never used twice by a loop.
    public struct Token: Hashable, Sendable {
        let number: UInt64
    }

    /// The most work that may wait for the loop; `post` refuses beyond it.
    public static let postedLimit = 65_536

    struct Watch {
        let descriptor: Int32
        let handler: (Events) -> Void
    }
    private struct Shared {
        var posted: [@Sendable () -> Void] = []
        var stopRequested = false
    }

    private let epoll: Int32
    private let wakeup: Int32
    let timer: Int32
    private let shared = Mutex(Shared())
    private var nextToken: UInt64 = 16
    private var watches: [UInt64: Watch] = [:]
    private var owner: pthread_t?
    var timers = TimerQueue()
    var armedDeadline: Int64 = 0

    private static let wakeupToken: UInt64 = 1
    private static let timerToken: UInt64 = 2

    public init() throws(LocalError) {
        var opened: [Int32] = []
        for create in [clinux_epoll_create, clinux_eventfd_create, clinux_timerfd_create] {
            let descriptor = create()
            guard descriptor >= 0 else {
                for descriptor in opened { close(descriptor) }
                throw .system("cannot make an event loop", -descriptor)
            }
            opened.append(descriptor)
        }
        (epoll, wakeup, timer) = (opened[0], opened[1], opened[2])
        for (descriptor, token) in [(wakeup, Self.wakeupToken), (timer, Self.timerToken)] {
            let result = clinux_epoll_add(epoll, descriptor, Events.readable.rawValue, token)
            guard result == 0 else {
                for descriptor in opened { close(descriptor) }
                throw .system("cannot make an event loop", -result)
            }
        }
    }

    deinit {
        close(epoll)
        close(wakeup)
        close(timer)
    }

    /// Watches a descriptor, level-triggered. The loop does not own it: cancel before closing it.
    public func watch(
        _ descriptor: Int32, _ events: Events, _ handler: @escaping (Events) -> Void
    ) throws(LocalError) -> Token {
        checkOwner()
        let token = makeToken()
        let result = clinux_epoll_add(epoll, descriptor, events.rawValue, token.number)
        guard result == 0 else { throw .system("cannot watch descriptor \(descriptor)", -result) }
        watches[token.number] = Watch(descriptor: descriptor, handler: handler)
        return token
    }

    /// Changes what a descriptor is watched for; an empty set leaves only `.hangup`. Nothing happens for a cancelled token.
    public func change(_ token: Token, _ events: Events) throws(LocalError) {
        checkOwner()
        guard let watch = watches[token.number] else { return }
        let result = clinux_epoll_change(epoll, watch.descriptor, events.rawValue, token.number)
        guard result == 0 else { throw .system("cannot watch descriptor \(watch.descriptor)", -result) }
    }

    /// Ends a watch or a timer. Its handler does not run again. Harmless when done before.
    public func cancel(_ token: Token) {
        checkOwner()
        if let watch = watches.removeValue(forKey: token.number) {
            _ = clinux_epoll_remove(epoll, watch.descriptor)
        } else {
            timers.cancel(token.number)
        }
    }

    /// Has work done on the loop's thread, in the order of posting. May be called from any thread, also before `run()`.
    /// - Returns: false when it will not be done: the loop was told to stop, or `postedLimit` items wait.
    @discardableResult
    public func post(_ work: @escaping @Sendable () -> Void) -> Bool {
        let accepted = shared.withLock { shared in
            guard !shared.stopRequested, shared.posted.count < Self.postedLimit else { return false }
            shared.posted.append(work)
            return true
        }
        if accepted { clinux_eventfd_signal(wakeup) }
        return accepted
    }

    /// Has `run()` return after the handler at work now and what was posted before. May be called from any thread.
    public func stop() {
        shared.withLock { $0.stopRequested = true }
        clinux_eventfd_signal(wakeup)
    }

    /// Serves until `stop()`; at once when it was called before. Blocks the calling thread, which owns the loop meanwhile.
    public func run() {
        precondition(owner == nil, "an event loop runs on one thread, once at a time")
        owner = pthread_self()
        defer { owner = nil }
        var batch = [clinux_event](repeating: clinux_event(), count: 64)
        while runPosted() {
            armTimer()
            let count = clinux_epoll_wait(epoll, &batch, Int32(batch.count), -1)
            guard count >= 0 else {
                precondition(count == -EINTR, "epoll_wait failed with errno \(-count)")
                continue
            }
            for event in batch[..<Int(count)] { dispatch(event) }
        }
    }

    private func dispatch(_ event: clinux_event) {
        switch event.token {
        case Self.wakeupToken: clinux_eventfd_drain(wakeup)
        case Self.timerToken:
            clinux_eventfd_drain(timer)
            armedDeadline = 0
            runTimers()
        default: watches[event.token]?.handler(Events(rawValue: event.events))
        }
    }

    /// - Returns: false when the loop shall end.
    private func runPosted() -> Bool {
        let (work, stopping) = shared.withLock { shared in
            defer { shared.posted.removeAll() }
            return (shared.posted, shared.stopRequested)
        }
        for work in work { work() }
        return !stopping
    }

    func makeToken() -> Token {
        nextToken += 1
        return Token(number: nextToken)
    }

    func checkOwner() {
        precondition(
            owner.map { pthread_equal($0, pthread_self()) != 0 } ?? true,
            "an event loop's registrations belong to the thread that runs it; use post() from others")
    }
}
