public import ArgumentParser

/// The `fallow` command: for job authors, function users, operators and sysadmins.
public struct FallowCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "fallow", abstract: "Lends what a Slurm cluster leaves idle, and gives it back.",
        version: "fallow \(fallowVersion)",
        subcommands: [
            StatusCommand.self, NodesCommand.self, JobsCommand.self, LeasesCommand.self, InvokeCommand.self,
            RunCommand.self, TopCommand.self, ReportCommand.self, EnableCommand.self, DisableCommand.self,
            DoctorCommand.self,
        ])

    public init() {}
}

/// Fallow's version, the same in all its programs.
let fallowVersion = "0.1.0"
