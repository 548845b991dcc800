internal import FallowControl
internal import FallowHost
internal import FallowModel
internal import FallowWire
internal import Synchronization

/// Users as the site's name service knows them, kept for a moment: it may take long to answer, and a user who leases once
/// leases again. Safe from any thread.
final class IdentityCache: Sendable {
    /// How old an answer may be. A change of groups reaches functions after this time.
    static let life: Duration = .seconds(30)
    /// Users that are remembered, at most.
    static let limit = 4096

    private struct Known {
        var identity: UserIdentity
        var until: ContinuousClock.Instant
    }
    private let known = Mutex<[UserID: Known]>([:])
    private let pool = BlockingPool(name: "fallow.names", threads: 2, limit: 1024)

    /// Whom donors run as: the user of that name; nil: `fallow` where there is such a user, else `nobody`.
    func donors(named name: String?) async throws -> UserIdentity {
        let names = name.map { [$0] } ?? ["fallow", "nobody"]
        let user = try await pool.run("looking up the donors' user") {
            names.lazy.compactMap { UserIdentity.userID(named: $0) }.first
        }
        guard let user else {
            throw WireError(.internalError, "there is no user '\(names.last!)' on this node for donors; see donor.user")
        }
        return try await identity(of: user)
    }

    /// The user's name, groups and home.
    /// - Throws: `HostError` `.notFound` when there is no such user; `WireError` `unavailable` when nobody answers in 10 s.
    func identity(of user: UserID) async throws -> UserIdentity {
        let now = ContinuousClock.now
        if let found = known.withLock({ $0[user] }), found.until > now { return found.identity }
        let identity = try await pool.run("looking up a user") { try UserIdentity.resolve(user) }
        known.withLock { known in
            if known.count >= Self.limit { known.removeAll() }
            known[user] = Known(identity: identity, until: now + Self.life)
        }
        return identity
    }
}
