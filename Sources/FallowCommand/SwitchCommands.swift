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

    /// Sets the switch; switches that are not named stay as they are.
    func set(_ on: Bool, _ common: CommonOptions) async throws {
        let settings = try common.settings()
        let nodes = try await common.get("/v1/nodes", [NodeView].self)
        guard let known = nodes.first(where: { node == nil || $0.node.text == node }) else {
            throw WireError(.notFound, "there is no node \(node ?? "at all"); see fallow nodes")
        }
        var switches = known.switches
        if kind != .lent { switches.unallocated = on }
        if kind != .unallocated { switches.lent = on }
        try await common.client(settings).sendIgnoringReply(
            .put, settings.controllerURL, "/v1/switches",
            body: SwitchChange(node: node.map { NodeName($0) }, switches: switches))
        try common.show(switches) { switches in
            func word(_ on: Bool) -> String { on ? "on" : "off" }
            return "\(node ?? "every node"): unallocated \(word(switches.unallocated)), lent \(word(switches.lent))\n"
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
