internal import FallowModel
internal import FallowWire

/// Requests that wait for capacity, first come first served: whenever something changes they are tried in order, and one
/// that still does not fit holds up none behind it.
struct LeaseQueue {
    static let limit = 1024

    struct Waiter {
        var request: LeaseRequest
        var deadline: Timestamp
        var continuation: CheckedContinuation<Result<Grant, WireError>, Never>
    }
    private(set) var waiters: [Waiter] = []

    var isFull: Bool { waiters.count >= Self.limit }

    mutating func append(_ waiter: Waiter) { waiters.append(waiter) }

    /// Tries each; those that get an answer, or whose time is over, are resumed and leave.
    mutating func serve(now: Timestamp, _ attempt: (LeaseRequest) -> Result<Grant, WireError>) {
        waiters.removeAll { waiter in
            let result = attempt(waiter.request)
            if case .failure(let error) = result, error.code == .noCapacity, now < waiter.deadline { return false }
            waiter.continuation.resume(returning: result)
            return true
        }
    }

    /// Tells all that nothing more will come.
    mutating func close() {
        for waiter in waiters {
            waiter.continuation.resume(returning: .failure(WireError(.unavailable, "fallowctld is stopping")))
        }
        waiters = []
    }
}
