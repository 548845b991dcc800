public import FallowModel
public import FallowWire

/// Capacity step by step: of the whole cluster, and of rows of neighbouring nodes; and the gaps of that time.
///
/// The same counts as a report's, laid side by side instead of added up.
public struct CapacitySeries: Sendable {
    /// The first step's beginning, and each step's length.
    public var since: Timestamp
    public var stepSeconds: Int64
    /// The whole cluster's steps; the last may not be over.
    public var steps: [CapacityUse]
    /// In the order of the nodes' names.
    public var rows: [Row]
    /// Idle gaps that jobs ended: no job on the node, and some core free.
    public var nodeGaps: Tally
    public var coreGaps: Tally

    /// One node, or several neighbours where there are more than rows.
    public struct Row: Sendable {
        public var first: NodeName
        public var last: NodeName
        public var nodeCount: Int
        public var steps: [NodeUse]
        public init(first: NodeName, last: NodeName, nodeCount: Int, steps: [NodeUse]) {
            self.first = first
            self.last = last
            self.nodeCount = nodeCount
            self.steps = steps
        }
    }

    public init(
        since: Timestamp, stepSeconds: Int64, steps: [CapacityUse] = [], rows: [Row] = [], nodeGaps: Tally = Tally(),
        coreGaps: Tally = Tally()
    ) {
        self.since = since
        self.stepSeconds = stepSeconds
        self.steps = steps
        self.rows = rows
        self.nodeGaps = nodeGaps
        self.coreGaps = coreGaps
    }
}
