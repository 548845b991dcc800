public import FallowModel
internal import Glibc

/// A user as the machine's user database knows them.
public struct UserIdentity: Hashable, Sendable {
    public var uid: UserID
    public var name: String
    /// The primary group.
    public var gid: UInt32
    /// All groups, the primary one included.
    public var groups: [UInt32]
    public var home: String

    public init(uid: UserID, name: String, gid: UInt32, groups: [UInt32], home: String) {
        self.uid = uid
        self.name = name
        self.gid = gid
        self.groups = groups
        self.home = home
    }

    /// Looks a user up. Blocks for as long as the site's directory service takes.
    /// - Throws: `.notFound` when there is no such user.
    public static func resolve(_ uid: UserID) throws(HostError) -> UserIdentity {
        var size = 1024
        while true {
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
            defer { buffer.deallocate() }
            let failure = getpwuid_r(uid.number, &entry, buffer, size, &found)
            if failure == ERANGE, size < 1 << 20 {
                size *= 2
                continue
            }
            if failure == EINTR { continue }
            guard failure == 0 else { throw .system("cannot look up the user \(uid)", failure) }
            guard found != nil else { throw HostError(.notFound, "this machine knows no user with the id \(uid)") }
            return UserIdentity(
                uid: uid, name: String(cString: entry.pw_name), gid: entry.pw_gid,
                groups: try groups(of: entry.pw_name, gid: entry.pw_gid), home: String(cString: entry.pw_dir))
        }
    }

    /// The id of a user by name; nil when there is none, or nobody can tell. Blocks as `resolve`.
    public static func userID(named name: String) -> UserID? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 1 << 16)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return UserID(entry.pw_uid)
    }

    private static func groups(of name: UnsafePointer<CChar>, gid: UInt32) throws(HostError) -> [UInt32] {
        var capacity: Int32 = 64
        while capacity <= 65_536 {
            var groups = [gid_t](repeating: 0, count: Int(capacity))
            var count = capacity
            if getgrouplist(name, gid, &groups, &count) >= 0 { return Array(groups.prefix(Int(count))) }
            capacity = max(capacity * 2, count)
        }
        throw HostError(.system, "the user \(String(cString: name)) is in more than 65536 groups")
    }
}
