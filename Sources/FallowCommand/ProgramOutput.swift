internal import Subprocess

/// What other programs print.
enum ProgramOutput {
    /// Within 5 s and 1 MiB; nil when it fails.
    static func of(_ program: String, _ arguments: [String]) async -> String? {
        await withTaskGroup(of: String?.self) { group in
            group.addTask {
                let result = try? await Subprocess.run(
                    .name(program), arguments: Arguments(arguments), output: .string(limit: 1 << 20), error: .discarded)
                guard let result, result.terminationStatus.isSuccess else { return nil }
                return result.standardOutput
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(5))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
