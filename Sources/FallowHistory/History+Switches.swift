public import FallowModel
public import FallowWire
internal import GRDB

/// What operators switched, for all nodes and for single ones; a node's own word wins.
public struct SwitchTable: Sendable, Hashable {
    public var all = LendingOverride()
    public var nodes: [NodeName: LendingOverride] = [:]
    public init() {}

    /// What was switched for a node.
    public func switches(for node: NodeName) -> LendingOverride {
        LendingOverride(
            unallocated: nodes[node]?.unallocated ?? all.unallocated, lent: nodes[node]?.lent ?? all.lent)
    }

    /// Takes a change; a kind that is switched for all nodes is forgotten for single ones.
    public mutating func apply(_ change: SwitchChange) {
        if let node = change.node {
            nodes[node, default: LendingOverride()].take(change)
            return
        }
        all.take(change)
        for node in Array(nodes.keys) {
            if change.unallocated != nil { nodes[node]?.unallocated = nil }
            if change.lent != nil { nodes[node]?.lent = nil }
            if nodes[node] == LendingOverride() { nodes[node] = nil }
        }
    }
}

extension LendingOverride {
    fileprivate mutating func take(_ change: SwitchChange) {
        unallocated = change.unallocated ?? unallocated
        lent = change.lent ?? lent
    }
}

extension History {
    /// Keeps what is switched from now on.
    public func record(_ table: SwitchTable) throws(HistoryError) {
        try write { db in
            try db.execute(sql: "DELETE FROM switches")
            let rows = [("", table.all)] + table.nodes.map { ($0.key.text, $0.value) }
            for (scope, switches) in rows where switches != LendingOverride() {
                try db.execute(
                    sql: "INSERT INTO switches VALUES (?, ?, ?)",
                    arguments: [scope, switches.unallocated, switches.lent])
            }
        }
    }

    /// All that is switched.
    public func switches() throws(HistoryError) -> SwitchTable {
        try read { db in
            var table = SwitchTable()
            for row in try Row.fetchAll(db, sql: "SELECT * FROM switches") {
                let switches = LendingOverride(unallocated: row["unallocated"], lent: row["lent"])
                let scope: String = row["scope"]
                if scope.isEmpty { table.all = switches } else { table.nodes[NodeName(scope)] = switches }
            }
            return table
        }
    }
}
