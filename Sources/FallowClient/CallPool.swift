/// Records of futures, kept for the next ones: a future costs no allocation once there were as many at a time before.
/// Thread-safe. Every record has to be back when the pool ends.
final class CallPool: @unchecked Sendable {
    private let lock = TurnLock()
    private let free = UnsafeMutablePointer<CallPointer?>.allocate(capacity: 1)

    init() { free.initialize(to: nil) }

    deinit {
        while let record = free.pointee {
            free.pointee = record.pointee.next
            record.deinitialize(count: 1)
            record.deallocate()
        }
        free.deallocate()
    }

    /// A record to be initialised with `renew`.
    func take(_ fresh: consuming CallRecord) -> CallPointer {
        lock.lock()
        let kept = free.pointee
        if let kept { free.pointee = kept.pointee.next }
        lock.unlock()
        guard let kept else {
            let record = CallPointer.allocate(capacity: 1)
            record.initialize(to: fresh)
            return record
        }
        kept.pointee = fresh
        return kept
    }

    func giveBack(_ record: CallPointer) {
        record.pointee.dropInput()
        lock.lock()
        record.pointee.next = free.pointee
        free.pointee = record
        lock.unlock()
    }
}
