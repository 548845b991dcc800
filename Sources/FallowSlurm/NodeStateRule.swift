internal import CSlurm

/// What a node's state word says, and whether a node in that state may lend.
///
/// Nothing is lent on a node that Slurm would not give to a job, or is about to take away: its leftovers are not idle
/// capacity but the administrator's. PLANNED stays lendable: the plan shortens the term instead.
struct NodeStateRule {
    let words: String
    let mayLend: Bool

    private struct Flag {
        let bit: UInt32
        let word: String
        let lends: Bool
        init(_ bit: Int, _ word: String, lends: Bool) {
            self.bit = UInt32(bit)
            self.word = word
            self.lends = lends
        }
    }
    private static let flags: [Flag] = [
        Flag(CSLURM_NODE_RESERVED, "RESERVED", lends: false),
        Flag(CSLURM_NODE_DRAIN, "DRAIN", lends: false),
        Flag(CSLURM_NODE_COMPLETING, "COMPLETING", lends: true),
        Flag(CSLURM_NODE_NOT_RESPONDING, "NOT_RESPONDING", lends: false),
        Flag(CSLURM_NODE_POWERED_DOWN, "POWERED_DOWN", lends: false),
        Flag(CSLURM_NODE_FAIL, "FAIL", lends: false),
        Flag(CSLURM_NODE_POWERING_UP, "POWERING_UP", lends: false),
        Flag(CSLURM_NODE_MAINT, "MAINTENANCE", lends: false),
        Flag(CSLURM_NODE_REBOOT_REQUESTED, "REBOOT_REQUESTED", lends: false),
        Flag(CSLURM_NODE_POWERING_DOWN, "POWERING_DOWN", lends: false),
        Flag(CSLURM_NODE_DYNAMIC_FUTURE, "FUTURE", lends: false),
        Flag(CSLURM_NODE_REBOOT_ISSUED, "REBOOT_ISSUED", lends: false),
        Flag(CSLURM_NODE_PLANNED, "PLANNED", lends: true),
        Flag(CSLURM_NODE_INVALID_REG, "INVALID_REG", lends: false),
        Flag(CSLURM_NODE_POWER_DOWN, "POWER_DOWN", lends: false),
        Flag(CSLURM_NODE_POWER_DRAIN, "POWER_DRAIN", lends: false),
    ]

    /// - Parameter state: `node_state` of node_info_t: a base state and flags.
    init(state: UInt32) {
        let bases = ["UNKNOWN", "DOWN", "IDLE", "ALLOCATED", "ERROR", "MIXED", "FUTURE"]
        let base = Int(state & 0xf)
        var words = [base < bases.count ? bases[base] : "STATE_\(base)"]
        var mayLend = ["IDLE", "ALLOCATED", "MIXED"].contains(words[0])
        for flag in Self.flags where state & flag.bit != 0 {
            words.append(flag.word)
            mayLend = mayLend && flag.lends
        }
        self.words = words.joined(separator: "+")
        self.mayLend = mayLend
    }
}
