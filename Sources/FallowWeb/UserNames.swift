internal import FallowControl
internal import FallowModel
internal import Glibc

/// Names of users, as this machine knows them. A directory that does not answer costs one bounded wait; then numbers stand
/// in for names for a while.
actor UserNames {
    private var known: [UserID: (name: String, until: ContinuousClock.Instant)] = [:]
    private static let limit = 10_000

    func names(of users: some Sequence<UserID>) async -> [UserID: String] {
        let wanted = Set(users)
        let now = ContinuousClock.now
        let missing = wanted.filter { known[$0].map { $0.until < now } ?? true }
        if !missing.isEmpty {
            let found = try? await BlockingPool.shared.run(timeout: .seconds(2), "look up users") {
                Dictionary(uniqueKeysWithValues: missing.map { ($0, Self.name(of: $0)) })
            }
            if known.count + missing.count > Self.limit { known = [:] }
            for user in missing {
                // Without an answer it is asked again soon.
                known[user] = (found?[user] ?? "\(user)", now + .seconds(found == nil ? 30 : 600))
            }
        }
        return Dictionary(uniqueKeysWithValues: wanted.map { ($0, known[$0]?.name ?? "\($0)") })
    }

    nonisolated func user(named name: String) async -> UserID? {
        try? await BlockingPool.shared.run(timeout: .seconds(5), "look up a user") { Self.number(of: name) }
    }

    private static func name(of user: UserID) -> String {
        withEntry {
            getpwuid_r(user.number, $0, $1, $2, $3)
        } then: {
            String(cString: $0.pw_name)
        } ?? "\(user)"
    }
    private static func number(of name: String) -> UserID? {
        withEntry {
            getpwnam_r(name, $0, $1, $2, $3)
        } then: {
            UserID($0.pw_uid)
        }
    }

    private static func withEntry<Value>(
        _ ask: (
            UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
            UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
        )
            -> Int32,
        then body: (passwd) -> Value
    ) -> Value? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { buffer in
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            guard let base = buffer.baseAddress, ask(&entry, base, buffer.count, &found) == 0, found != nil else {
                return nil
            }
            return body(entry)
        }
    }
}
