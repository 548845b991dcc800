internal import FallowModel
internal import FallowWire

/// A lease as a row of the page.
struct LeaseRow: Codable, Sendable, Hashable {
    var id: String
    var kind: String
    var user: String
    var node: String
    var cores: Int
    var memory: String
    /// The job whose unused resources it stands in.
    var beneath: UInt32?
    /// Seconds since 1970.
    var granted: Double
    var termEnds: Double
    var ended: Double?
    /// Why it ended, and that in words.
    var reason: String?
    var words: String?
    /// An owner or the site took it back.
    var revoked = false

    init(_ lease: LeaseView, user: String) {
        id = lease.leaseID.description
        kind = lease.kind.rawValue
        self.user = user
        node = lease.node.text
        cores = lease.cpus
        memory = "\(lease.memory)"
        beneath = lease.beneath?.number
        granted = lease.grantedAt.secondsSinceEpoch.rounded()
        termEnds = lease.termEnds.secondsSinceEpoch.rounded()
        ended = lease.endedAt?.secondsSinceEpoch
        reason = lease.reason?.rawValue
        words = lease.reason?.words
        revoked = lease.reason == .reclaimed || lease.reason == .withdrawn
    }
}

extension LeaseEnd {
    /// For people.
    var words: String {
        switch self {
        case .released: "given back"
        case .clientGone: "its client ended"
        case .expired: "its term passed"
        case .reclaimed: "taken back for the owner"
        case .withdrawn: "withdrawn by the site"
        case .executorDied: "its process ended"
        case .outOfMemory: "out of memory"
        case .agentGone: "its node's agent stopped"
        }
    }
}

/// What runs and what ended, as far as somebody may see it.
struct LeaseBoard: Codable, Sendable, Hashable {
    var running: [LeaseRow]
    /// How many run in all, shown or not.
    var count: Int
    var hidden: Int
    var ended: [LeaseRow]
    /// Rows of each kind at most.
    static let limit = 100

    init(running: [LeaseView], ended: [LeaseView], _ sight: Sight, _ names: [UserID: String]) {
        func rows(_ leases: [LeaseView]) -> [LeaseRow] {
            leases.filter { sight.showsJobs(of: $0.user) }.prefix(Self.limit).map {
                LeaseRow($0, user: names[$0.user] ?? "\($0.user)")
            }
        }
        self.running = rows(running.reversed())
        self.ended = rows(ended)
        count = running.count
        hidden = running.count(where: { !sight.showsJobs(of: $0.user) })
    }
}
