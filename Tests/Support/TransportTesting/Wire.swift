internal import Glibc
internal import TestProcesses

/// Another host: a network namespace, and a wire to it. Needs root. Gone with this object.
public final class Wire: Sendable {
    /// This host's address on it, and the other's.
    public let nearAddress = "10.79.0.1", farAddress = "10.79.0.2"
    private let space: String
    private let near: String
    private let far: String

    /// Whether one can be made here.
    public static var isPossible: Bool { geteuid() == 0 && access("/sbin/ip", X_OK) == 0 }
    /// What starts a program on the other host.
    public var launcher: [String] { ["/sbin/ip", "netns", "exec", space] }

    public struct Failure: Error { let command: String }

    public init() throws {
        space = "fallow-test-\(getpid())"
        near = "fw\(getpid())n"
        far = "fw\(getpid())f"
        try Self.ip("netns add \(space)")
        try Self.ip("link add \(near) type veth peer name \(far) netns \(space)")
        try Self.ip("addr add \(nearAddress)/30 dev \(near)")
        try Self.ip("link set \(near) up")
        try Self.ip("-n \(space) addr add \(farAddress)/30 dev \(far)")
        try Self.ip("-n \(space) link set \(far) up")
    }

    /// From now on everything is swallowed, without a word to either end: it goes to a hardware address that nobody has.
    public func cut() throws {
        try Self.ip("neigh replace \(farAddress) dev \(near) lladdr 02:00:00:00:00:99 nud permanent")
        try Self.ip("-n \(space) neigh replace \(nearAddress) dev \(far) lladdr 02:00:00:00:00:99 nud permanent")
    }

    deinit {
        try? Self.ip("link del \(near)")
        try? Self.ip("netns del \(space)")
    }

    private static func ip(_ words: String) throws {
        let status = try ChildProcess.run(["/sbin/ip"] + words.split(separator: " ").map(String.init))
        guard status == 0 else { throw Failure(command: "ip \(words)") }
    }
}
