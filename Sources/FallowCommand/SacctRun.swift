internal import ArgumentParser
internal import FallowReporting
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// `fallow report --from-sacct`: reads a dump a block at a time, however long it is.
struct SacctRun {
    /// `-`: standard input.
    let path: String
    let json: Bool
    var columns: [JobColumn]?
    var jobLimit = 20
    /// A line beyond this is no line of sacct's.
    private static let longestLine = 1 << 20

    func run() throws {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ValidationError("--from-sacct: \(path) cannot be read (\(String(cString: strerror(errno))))")
        }
        defer { if path != "-" { close(descriptor) } }
        let summary: SacctSummary
        do {
            summary = try read(descriptor)
        } catch let problem as ReportTime.Problem {
            throw ValidationError("--from-sacct \(path): \(problem)")
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(summary), as: UTF8.self))
        } else {
            print(summary.text(columns: columns), terminator: "")
        }
    }

    private func read(_ descriptor: Int32) throws -> SacctSummary {
        var reader = SacctReader(jobLimit: jobLimit)
        var pending: [UInt8] = []
        var isTooLong = false
        var block = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = block.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw ValidationError("--from-sacct: \(path) cannot be read (\(String(cString: strerror(errno))))")
            }
            guard count > 0 else { break }
            var rest = block[..<count]
            while let newline = rest.firstIndex(of: 0x0a) {
                if pending.isEmpty, !isTooLong {
                    try reader.take(rest[..<newline])
                } else {
                    pending += rest[..<newline]
                    // What was cut is taken as the broken line that it is.
                    try reader.take(isTooLong ? [0x7c] : pending[...])
                    pending = []
                    isTooLong = false
                }
                rest = rest[(newline + 1)...]
            }
            pending += rest
            if pending.count > Self.longestLine {
                pending = []
                isTooLong = true
            }
        }
        if !pending.isEmpty { try reader.take(pending[...]) }
        return try reader.finish()
    }
}
