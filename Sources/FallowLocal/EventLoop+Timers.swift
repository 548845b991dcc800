internal import CLinux
internal import FallowModel

extension EventLoop {
    /// Calls the handler once after a span of monotonic time, or again and again with `repeating` as the period.
    ///
    /// A loop that was busy for several periods calls a repeating handler once, not several times. Cancel with `cancel(token)`.
    @discardableResult
    public func after(_ span: Duration, repeating period: Duration? = nil, _ handler: @escaping () -> Void) -> Token {
        checkOwner()
        let token = makeToken()
        let periodNanoseconds = period.map { max(1, $0.nanoseconds) }
        timers.insert(
            .init(
                token: token.number, deadline: deadlineNanoseconds(after: span), period: periodNanoseconds,
                handler: handler))
        return token
    }

    func runTimers() {
        let now = monotonicNanoseconds()
        // Only what was due when this began: a handler that schedules at once cannot starve the rest.
        for due in timers.takeDue(at: now) where timers.isPending(due.token) {
            if let period = due.period {
                var again = due
                let (next, overflow) = max(due.deadline, now - period).addingReportingOverflow(period)
                again.deadline = overflow ? .max : max(next, now + 1)
                timers.insert(again)
            } else {
                timers.cancel(due.token)
            }
            due.handler()
        }
    }

    func armTimer() {
        let deadline = timers.nextDeadline ?? 0
        guard deadline != armedDeadline else { return }
        _ = clinux_timerfd_arm(timer, UInt64(max(deadline, 0)))
        armedDeadline = deadline
    }
}

/// Timers by deadline: a binary heap; cancelled ones are dropped when they come up or when they are the majority.
package struct TimerQueue {
    package struct Entry {
        package var token: UInt64
        package var deadline: Int64
        package var period: Int64?
        package var handler: () -> Void

        package init(token: UInt64, deadline: Int64, period: Int64?, handler: @escaping () -> Void) {
            self.token = token
            self.deadline = deadline
            self.period = period
            self.handler = handler
        }
    }
    private var heap: [Entry] = []
    private var pending: Set<UInt64> = []

    package init() {}

    func isPending(_ token: UInt64) -> Bool { pending.contains(token) }

    /// The earliest deadline of a timer that is not cancelled.
    package var nextDeadline: Int64? {
        mutating get {
            while let first = heap.first, !pending.contains(first.token) { removeFirst() }
            return heap.first?.deadline
        }
    }

    package mutating func insert(_ entry: Entry) {
        pending.insert(entry.token)
        heap.append(entry)
        siftUp(heap.count - 1)
    }

    package mutating func cancel(_ token: UInt64) {
        guard pending.remove(token) != nil, heap.count > 2 * pending.count + 64 else { return }
        heap.removeAll { !pending.contains($0.token) }
        heap.sort { $0.deadline < $1.deadline }  // a sorted array is a heap
    }

    /// Takes every due timer out of the heap, earliest first; they stay pending until cancelled or inserted again.
    package mutating func takeDue(at now: Int64) -> [Entry] {
        var due: [Entry] = []
        while let first = heap.first, first.deadline <= now {
            removeFirst()
            if pending.contains(first.token) { due.append(first) }
        }
        return due
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            guard least != index else { return }
            heap.swapAt(least, index)
            index = least
        }
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, heap[index].deadline < heap[(index - 1) / 2].deadline {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }
}
