internal import ArgumentParser
internal import FallowModel
internal import FallowWire

/// A kind of leftover, as `enable` and `disable` name it.
enum LeftoverKind: String, CaseIterable, ExpressibleByArgument {
    case unallocated, lent, all
}

struct SwitchOptions: ParsableArguments {
    @Argument(help: "unallocated: what no job holds; lent: what jobs with --serverless do not use; all.")
    var kind: LeftoverKind
    @Option(help: "This node only (default: every node).")
    var node: String?

    /// Sets the switch; the kind that is not named stays as it is.
    func set(_ on: Bool, _ common: CommonOptions) async throws {
        let settings = try common.settings()
        let change = SwitchChange(
            node: node.map { NodeName($0) }, unallocated: kind == .lent ? nil : on,
            lent: kind == .unallocated ? nil : on)
        if let node {
            let known = try await common.get("/v1/nodes", [NodeView].self).map(\.node.text)
            guard known.contains(node) else {
                throw WireError(.notFound, "there is no node '\(node)'; there are \(known.joined(separator: ", "))")
            }
        }
        try await common.client(settings).sendIgnoringReply(
            .put, settings.controllerURL, "/v1/switches", body: change)
        try common.show(change) { change in
            func word(_ on: Bool?) -> String { on.map { $0 ? "on" : "off" } ?? "as it was" }
            return "\(node ?? "every node"): unallocated \(word(change.unallocated)), lent \(word(change.lent))\n"
        }
    }
}

struct EnableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Switch lending of a kind of leftover on (operators).")
    @OptionGroup var options: SwitchOptions
    @OptionGroup var common: CommonOptions
    func run() async throws { try await options.set(true, common) }
}

struct DisableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Switch lending of a kind of leftover off; its leases end (operators).")
    @OptionGroup var options: SwitchOptions
    @OptionGroup var common: CommonOptions
    func run() async throws { try await options.set(false, common) }
}
