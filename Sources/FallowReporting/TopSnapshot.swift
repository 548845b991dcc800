public import FallowModel
public import FallowWire

/// What `fallow top` shows at one moment: what status, nodes and leases show.
public struct TopSnapshot: Codable, Sendable {
    public var at: Timestamp
    public var status: ClusterStatus
    public var nodes: [NodeView]
    public var leases: [LeaseView]

    public init(at: Timestamp, status: ClusterStatus, nodes: [NodeView], leases: [LeaseView]) {
        self.at = at
        self.status = status
        self.nodes = nodes
        self.leases = leases
    }
}

/// Which of its tables is shown.
public enum TopView: String, Sendable, CaseIterable {
    case nodes, leases
}
