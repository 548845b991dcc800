public import FallowModel
public import FallowWire
internal import GRDB

/// What operators switched, for all nodes and for single ones; a node's own word wins.
public struct SwitchTable: Sendable, Hashable {
    public var all: LendingSwitches?
    public var nodes: [NodeName: LendingSwitches] = [:]
    public init() {}

    /// What rules on a node; nil: its own configuration.
    public func switches(for node: NodeName) -> LendingSwitches? { nodes[node] ?? all }
}

extension History {
    /// Keeps a change; one for all nodes forgets what was said of single ones.
    public func record(_ change: SwitchChange) throws(HistoryError) {
        try write { db in
            if change.node == nil { try db.execute(sql: "DELETE FROM switches") }
            try db.execute(
                sql: "INSERT OR REPLACE INTO switches VALUES (?, ?, ?)",
                arguments: [change.node?.text ?? "", change.switches.unallocated, change.switches.lent])
        }
    }

    /// All that is switched.
    public func switches() throws(HistoryError) -> SwitchTable {
        try read { db in
            var table = SwitchTable()
            for row in try Row.fetchAll(db, sql: "SELECT * FROM switches") {
                let switches = LendingSwitches(unallocated: row["unallocated"], lent: row["lent"])
                let scope: String = row["scope"]
                if scope.isEmpty { table.all = switches } else { table.nodes[NodeName(scope)] = switches }
            }
            return table
        }
    }
}
