internal import ArgumentParser
internal import FallowConfiguration
internal import FallowControl
internal import FallowDiagnosis
internal import FallowModel
internal import FallowReporting
internal import FallowWire

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "What is wrong here, and how to mend it.",
        discussion: "Exit status: 0 all is well, 1 there are warnings, 2 something is broken.")
    @OptionGroup var common: CommonOptions
    @Flag(help: "Print the settings in force, and where each comes from.")
    var showConfig = false

    func run() async throws {
        let loaded: LoadedSettings
        do {
            loaded = try LoadedSettings.load(path: common.config, environment: ProcessInfo.processInfo.environment)
        } catch {
            try common.show([Finding(.broken, "configuration", "\(error)", mend: "correct the line")], text: Self.text)
            throw ExitCode(2)
        }
        if showConfig { return try common.show(Self.shown(loaded), text: Self.configurationText) }
        let findings = await Checkup(settings: loaded.settings, common: common).findings()
        try common.show(findings, text: Self.text)
        guard findings.exitStatus == 0 else { throw ExitCode(findings.exitStatus) }
    }

    private struct Shown: Encodable {
        var key, value, origin, meaning: String
    }
    private static func shown(_ loaded: LoadedSettings) -> [Shown] {
        ConfigurationKey.all.map {
            Shown(
                key: $0.name, value: $0.text(in: loaded.settings), origin: loaded.origins[$0.name] ?? "default",
                meaning: $0.meaning)
        }
    }
    private static func configurationText(_ keys: [Shown]) -> String {
        var table = Table([("KEY", .left), ("VALUE", .left), ("FROM", .left)])
        for key in keys { table.add(key.key, key.value.isEmpty ? "-" : key.value, key.origin) }
        return table.text
    }

    private static func text(_ findings: [Finding]) -> String {
        findings.map { finding in
            let mend = finding.mend.map { "        mend: \($0)\n" } ?? ""
            return "\(finding.grade.word)  \(finding.subject): \(finding.sentence)\n\(mend)"
        }.joined()
    }
}
