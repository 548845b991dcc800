public import FallowModel
public import FallowWire

/// What slurmctld said at one moment.
public struct SlurmSnapshot: Codable, Sendable {
    public var at: Timestamp
    public var nodes: [SlurmNode]
    /// Of the jobs that hold something.
    public var jobs: [JobFacts] = []
    /// Slurm's `PrivateData`; nil: not known.
    public var privateData: PrivateData?

    public struct SlurmNode: Codable, Sendable {
        public var name: NodeName
        public var view: SlurmNodeView
        /// When Slurm plans to start a pending job there; nil when it plans none.
        public var plannedStart: Timestamp?
        /// Its partitions, between commas.
        public var partitions = ""
    }

    public var views: [NodeName: SlurmNodeView] {
        Dictionary(nodes.map { ($0.name, $0.view) }) { first, _ in first }
    }
    public var plannedStarts: [NodeName: Timestamp] {
        Dictionary(nodes.compactMap { node in node.plannedStart.map { (node.name, $0) } }) { min($0, $1) }
    }
}

/// Why slurmctld could not be asked, in one sentence.
public struct SlurmError: Error, CustomStringConvertible, Sendable, Hashable {
    public let description: String
    init(_ description: String) { self.description = description }
}
