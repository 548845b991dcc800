/// What Slurm's `PrivateData` keeps from users who are no operators: things of others.
public struct PrivateData: OptionSet, Hashable, Sendable, Codable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Slurm's own bits.
    public static let jobs = PrivateData(rawValue: 1 << 0)
    public static let nodes = PrivateData(rawValue: 1 << 1)
    public static let usage = PrivateData(rawValue: 1 << 3)
    public static let users = PrivateData(rawValue: 1 << 4)
    public static let accounts = PrivateData(rawValue: 1 << 5)

    /// What holds while nobody knows better.
    public static let everything: PrivateData = [.jobs, .nodes, .usage, .users, .accounts]
}
