/// What a lease is for.
public enum LeaseKind: String, Codable, Sendable, Hashable {
    /// Cores and memory for an executor that runs a library's functions.
    case functions
    /// One donor: memory that a borrower keeps its bytes in; no cores.
    case memory
}

/// Where a node lends something from: what no job holds, or what one job does not use.
///
/// In JSON an object: `{}` is unallocated, `{"beneath": 12}` lies beneath job 12.
public struct LendingPool: Codable, Sendable, Hashable {
    /// Nil: held by no job.
    public var beneath: JobID?
    public init(beneath: JobID? = nil) { self.beneath = beneath }

    public static let unallocated = LendingPool()
}

extension LendingPool: CustomStringConvertible {
    /// As the end of a sentence: `unallocated`, `beneath job 12`.
    public var description: String { beneath.map { "beneath job \($0)" } ?? "unallocated" }
}
