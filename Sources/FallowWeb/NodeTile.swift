internal import FallowModel
internal import FallowReporting
internal import FallowWire

/// A node as a tile shows it: its cores in four parts, which add up, and how much its tasks wait.
///
/// Numbers are coarse, so that a tile that is sent again has something new to tell.
struct NodeTile: Codable, Sendable, Hashable {
    enum Seen: String, Codable, Sendable {
        case reporting, silent, never
    }
    var node: String
    var seen: Seen
    /// Slurm's words; `?`: slurmctld does not say.
    var state: String
    var cores: Int
    /// By jobs.
    var used: Double
    /// By leases.
    var leased: Double
    /// Held by jobs, not used.
    var held: Double
    /// Held by nobody.
    var free: Double
    var offered: Int
    var leasedMemory: String
    /// Percent of the last 10 s in which some task waited; nil: not measured.
    var cpuPressure: Int?
    var memoryPressure: Int?
    var ioPressure: Int?
    /// Why nothing is lent.
    var reason: String?

    init(_ view: NodeView, silentAfter: Duration) {
        node = view.node.text
        seen = view.lastReportSeconds.map { $0 > silentAfter.inSeconds ? .silent : .reporting } ?? .never
        state = view.slurmState ?? "?"
        cores = view.cores
        let all = Double(max(0, view.cores))
        // Until use has been measured, what is held counts as used: nothing is called white that may not be.
        used = Self.coarse(min(all, view.usedCores ?? Double(view.allocatedCores)), of: all)
        leased = min(all - used, Double(view.leasedCores))
        held = min(all - used - leased, max(0, Double(view.allocatedCores) - used))
        free = all - used - leased - held
        offered = view.offer.cores
        leasedMemory = "\(view.leasedMemory)"
        cpuPressure = view.pressure?.cpuPercent.map(Self.coarse)
        memoryPressure = view.pressure?.memoryPercent.map(Self.coarse)
        ioPressure = view.pressure?.ioPercent.map(Self.coarse)
        reason = view.withheldReason
    }

    /// Memory or input and output keep tasks waiting, or nearly all of them wait for a core.
    var isPressed: Bool { (memoryPressure ?? 0) >= 10 || (ioPressure ?? 0) >= 25 || (cpuPressure ?? 0) >= 75 }

    /// Of a small node a tenth of a core is told apart, of a large one a hundredth of the node.
    private static func coarse(_ cores: Double, of all: Double) -> Double {
        let unit = max(0.1, (all / 100).rounded())
        return min(all, (cores / unit).rounded() * unit)
    }
    private static func coarse(_ percent: Double) -> Int {
        percent < 10 ? Int(max(0, percent).rounded()) : Int((min(percent, 100) / 5).rounded()) * 5
    }

    /// In the order that people count in.
    static func tiles(_ views: [NodeView], silentAfter: Duration) -> [NodeTile] {
        views.sorted { NaturalOrder.precedes($0.node, $1.node) }.map { NodeTile($0, silentAfter: silentAfter) }
    }
}

/// The cluster's sums of its tiles.
struct Figures: Codable, Sendable, Hashable {
    var nodes = 0
    var reporting = 0
    var silent = 0
    var cores = 0
    var used = 0.0
    var leased = 0.0
    var held = 0.0
    var free = 0.0
    var offered = 0
    var leases = 0
    var slurmAnswers = true

    init(_ tiles: [NodeTile], _ status: ClusterStatus) {
        for tile in tiles {
            cores += tile.cores
            used += tile.used
            leased += tile.leased
            held += tile.held
            free += tile.free
            offered += tile.offered
        }
        (used, leased, held, free) = (Self.tenths(used), Self.tenths(leased), Self.tenths(held), Self.tenths(free))
        nodes = tiles.count
        reporting = status.nodesReporting
        silent = status.nodesSilent
        leases = status.leases
        slurmAnswers = status.slurmAnswers
    }

    private static func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}
