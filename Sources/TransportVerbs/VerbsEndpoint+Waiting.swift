internal import CRDMA
internal import FallowModel
public import FallowTransport
internal import Glibc
internal import TransportHandshake

/// Whether the peer has been heard of lately. Costs a look at the clock now and then, and nothing a message.
struct VerbsWatch {
    /// Set by every completion, cleared by every look.
    var hasHeard = true
    var isProbing = false
    private var lastHeardNanoseconds: UInt64 = 0
    var nextLookNanoseconds: UInt64 = 0

    /// When the silence will have lasted long enough for a probe.
    var probeDueNanoseconds: UInt64 { lastHeardNanoseconds + VerbsBounds.silenceNanoseconds }

    /// - Returns: whether a probe is due.
    mutating func note(now: UInt64) -> Bool {
        if hasHeard {
            hasHeard = false
            lastHeardNanoseconds = now
        }
        return !isProbing && now >= probeDueNanoseconds
    }
}

/// Waiting and watching: everything that may cost a system call.
extension VerbsEndpoint {
    /// Looks, at most every millisecond, whether the connection still stands, and asks the peer's device when it has been
    /// silent.
    mutating func look() {
        let now = MonotonicDeadline.nowNanoseconds()
        guard now >= watch.nextLookNanoseconds else { return }
        watch.nextLookNanoseconds = now + VerbsBounds.lookNanoseconds
        lookAtEvents()
        if watch.note(now: now) { probe() }
    }

    mutating func lookAtEvents() {
        guard failure == nil, let event = link.id.events.next() else { return }
        switch event {
        case .ended, .unreachable, .rejected: fail(.peerLost)
        case .request, .addressResolved, .routeResolved: fail(.protocolViolation)
        case .connected, .other: break
        }
    }

    public mutating func sleep(atMost timeout: Duration) throws(TransportError) -> Bool {
        let deadline = MonotonicDeadline(in: timeout.nanoseconds)
        while true {
            progress()
            lookAtEvents()
            if hasDeliverable && isOpen { return true }
            if failure != nil || !isOpen {
                progress()
                if hasDeliverable && isOpen { return true }
                throw failure ?? .peerLost
            }
            let now = MonotonicDeadline.nowNanoseconds()
            if watch.note(now: now) { probe() }
            if now >= deadline.nanoseconds { return false }
            // What completed before the channel was asked to tell is seen by one more look.
            if !isArmed {
                isArmed = true
                guard ibv_req_notify_cq(link.queue, 0) == 0 else {
                    fail(.system(code: EIO))
                    continue
                }
                progress()
                if hasDeliverable || failure != nil { continue }
            }
            wait(until: min(deadline.nanoseconds, watch.isProbing ? .max : watch.probeDueNanoseconds), now: now)
        }
    }

    /// Sleeps on the completion channel and the connection's events.
    private mutating func wait(until end: UInt64, now: UInt64) {
        let milliseconds = end <= now ? 0 : min((end - now + 999_999) / 1_000_000, 86_400_000)
        var pollers = (
            pollfd(fd: link.completionChannel.pointee.fd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: link.id.events.descriptor, events: Int16(POLLIN), revents: 0)
        )
        withUnsafeMutableBytes(of: &pollers) { bytes in
            _ = Glibc.poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, CInt(milliseconds))
        }
        if pollers.0.revents != 0, crdma_drain_comp_channel(link.completionChannel) > 0 { isArmed = false }
    }
}
