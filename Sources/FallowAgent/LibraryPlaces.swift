internal import FallowModel
internal import Glibc
internal import Synchronization

/// Which libraries other nodes were sent, so that they need not be asked each time. A hint: they forget. Safe from any thread.
final class LibraryPlaces: Sendable {
    struct Place: Hashable, Sendable {
        var agentURL: String
        var user: UserID
        var sha256: String
    }
    /// Places that are remembered, at most.
    static let limit = 10_000

    private let known = Mutex<Set<Place>>([])

    func contains(_ place: Place) -> Bool { known.withLock { $0.contains(place) } }

    func insert(_ place: Place) {
        known.withLock { known in
            if known.count >= Self.limit { known.removeAll() }
            known.insert(place)
        }
    }

    /// - Returns: whether it was remembered.
    func remove(_ place: Place) -> Bool { known.withLock { $0.remove(place) != nil } }
}

/// A descriptor that is closed when nobody uses it any more.
final class OwnedDescriptor: Sendable {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    deinit { if number >= 0 { close(number) } }
}
