internal import FallowModel
internal import FallowWire
internal import Synchronization

/// Whether a lease still stands, and why not. Shared by the agent's connection, which hears of it, and the lease.
final class LeaseFate: Sendable {
    let leaseID: LeaseID
    private let over = Atomic<Bool>(false)
    private let told = Atomic<Bool>(false)
    private let story = Mutex<(reason: LeaseEnd, sentence: String)?>(nil)
    private let written = Mutex<(@Sendable () -> UInt32?)?>(nil)

    init(leaseID: LeaseID) { self.leaseID = leaseID }

    /// One load.
    var isOver: Bool { over.load(ordering: .acquiring) }
    /// Whether the agent said so itself, which it does when the executor is dead.
    var isAgentsWord: Bool { told.load(ordering: .acquiring) }
    var reason: LeaseEnd? { story.withLock { $0?.reason } }
    /// What to tell the caller; a sentence's main clause.
    var sentence: String { story.withLock { $0?.sentence } ?? "the lease ended: its executor cannot be reached" }

    /// From now on the lease's memory is looked at for why it is over.
    func read(from memory: @escaping @Sendable () -> UInt32?) { written.withLock { $0 = memory } }
    /// Why the lease is over by its memory, which the agent writes before it kills, and which the lease's functions can write too.
    var writtenReason: LeaseEnd? { written.withLock { $0?() }.flatMap { LeaseEnd(number: $0) } }

    /// Records the end. The first reason stays.
    /// - Parameter detail: what the agent said of it, if anything.
    func end(_ reason: LeaseEnd, detail: String? = nil, isAgentsWord: Bool = false) {
        if isAgentsWord { told.store(true, ordering: .releasing) }
        story.withLock { story in
            guard story == nil else { return }
            let detail = detail.map { ": \($0)" } ?? ""
            story = (reason, "the lease ended: \(reason.sentence)\(detail)")
        }
        over.store(true, ordering: .releasing)
    }
}
