internal import ArgumentParser
internal import FallowClient
internal import FallowConfiguration
internal import FallowModel
internal import FallowReporting
internal import Glibc
internal import Histogram

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

struct InvokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invoke", abstract: "Lease executors, run a function there, give them back.",
        discussion: """
            Exit status: 0 when every invocation's function returned 0, 1 when one returned something else, \
            2 when an invocation or the lease failed.
            """)

    @Argument(help: "The shared library that holds the function.", completion: .file(extensions: ["so"]))
    var library: String
    @Argument(help: "The function's name.")
    var function: String
    @Option(help: "The file whose bytes are the input; - is standard input.", completion: .file())
    var input: String?
    @Option(help: "Where the (last) result goes; - is standard output.", completion: .file())
    var output: String?
    @Option(help: "Cores to lease, one worker each.")
    var cpus = 1
    @Option(help: "Memory to lease: 512M, 4G.")
    var mem = "512M"
    @Option(help: "Invoke it this often.")
    var `repeat` = 1
    @Option(help: "Invocations under way at once.")
    var concurrency = 1
    @Option(help: "Seconds that one invocation may take.")
    var timeout = 60.0
    @Option(help: "Seconds to wait for capacity.")
    var wait = 0.0
    @Option(help: "Seconds of the lease's term (default: the site's).")
    var term: Double?
    @Option(help: "Room for a result: 64K, 8M.")
    var maxOutput = "1M"
    @Option(help: "On this node only.")
    var node: String?
    @Flag(help: "Not on this node.")
    var remote = false
    @Option(help: "The agent's socket (default: $FALLOW_CLIENT_SOCKET, else the configured one).")
    var socket: String?
    @Flag(help: "Print JSON about the invocations (the result only goes to --output).")
    var json = false
    @Option(help: "The configuration file.")
    var config: String?

    func validate() throws {
        guard self.repeat >= 1 else { throw ValidationError("--repeat must be 1 or more, not \(self.repeat)") }
        guard (1...65_536).contains(concurrency) else {
            throw ValidationError("--concurrency must be 1 to 65536, not \(concurrency)")
        }
        guard cpus >= 1 else { throw ValidationError("--cpus must be 1 or more, not \(cpus)") }
        guard timeout > 0, timeout.isFinite else { throw ValidationError("--timeout must be above 0, not \(timeout)") }
        guard wait >= 0, wait.isFinite else { throw ValidationError("--wait must be 0 or more, not \(wait)") }
        guard ByteCount(parsing: mem) != nil else {
            throw ValidationError("--mem '\(mem)' is no amount; 512M or 4G is")
        }
        guard ByteCount(parsing: maxOutput) != nil else {
            throw ValidationError("--max-output '\(maxOutput)' is no amount; 64K or 8M is")
        }
    }

    func run() async throws {
        do {
            try invoke()
        } catch let error as FallowError {
            printError("fallow: \(error.message) (\(error.code))")
            throw ExitCode(2)
        }
    }

    private func invoke() throws {
        let payload = try readInput()
        var options = LeaseOptions()
        options.cpus = cpus
        options.memory = ByteCount(parsing: mem)!
        options.term = term.map { .seconds($0) }
        options.wait = .seconds(wait)
        options.inputBytes = max(4096, payload.count)
        options.outputBytes = max(4096, Int(ByteCount(parsing: maxOutput)!.bytes))
        let perWorker = (concurrency + cpus - 1) / cpus
        var slots = 1
        while slots < min(perWorker, 1024) { slots *= 2 }
        options.slotCount = max(slots, 2)
        options.node = node.map { NodeName($0) }
        options.isRemote = remote
        let client = try FallowClient.connect(socketPath: socket ?? Self.configuredSocket(config))
        defer { client.close() }
        let opening = ContinuousClock.now
        let lease = try client.lease(library: library, options)
        let opened = ContinuousClock.now - opening
        if let complaint = lease.transportComplaint {
            _ = "fallow: \(complaint)\n".withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) }
        }
        let run = try InvocationRun(
            lease: lease, function: function, payload: payload, count: self.repeat, concurrency: concurrency,
            timeout: .seconds(timeout)
        ).result()
        try? lease.release()
        if let output { try write(run.output, to: output) }
        try show(run, lease, opened)
        if run.nonzero > 0 { throw ExitCode(1) }
    }

    private func show(_ run: InvocationRun.Result, _ lease: Lease, _ opened: Duration) throws {
        let rate = Double(run.count) / max(run.elapsed.inSeconds, 1e-9)
        let figures = Figures(
            lease: "\(lease.id)", node: lease.node.text, transport: lease.transport.rawValue, workers: lease.cpus,
            leaseMilliseconds: opened.inSeconds * 1e3, invocations: run.count, nonzeroReturns: run.nonzero,
            returnValue: run.returnValue, outputBytes: run.output.count,
            p50Microseconds: Double(run.latencies.valueAtPercentile(50)) / 1e3,
            p99Microseconds: Double(run.latencies.valueAtPercentile(99)) / 1e3, perSecond: rate)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
            print(String(decoding: try encoder.encode(figures), as: UTF8.self))
        } else if output != "-" {
            print(
                "\(function) on \(figures.node) over \(figures.transport): lease in \(decimal(figures.leaseMilliseconds)) ms, "
                    + "\(run.count) done, p50 \(decimal(figures.p50Microseconds, 2)) us, "
                    + "p99 \(decimal(figures.p99Microseconds, 2)) us, \(decimal(rate, 0))/s")
            if run.count == 1 {
                print("returned \(run.returnValue), \(run.output.count) bytes\(output.map { " in \($0)" } ?? "")")
            } else if run.nonzero > 0 {
                print("\(run.nonzero) invocations returned something else than 0, the last one \(run.returnValue)")
            }
        }
    }

    /// What `--json` prints.
    private struct Figures: Encodable {
        var lease, node, transport: String
        var workers: Int
        var leaseMilliseconds: Double
        var invocations, nonzeroReturns: Int
        var returnValue: Int32
        var outputBytes: Int
        var p50Microseconds, p99Microseconds, perSecond: Double
    }

    private func readInput() throws -> [UInt8] {
        guard let input else { return [] }
        let data =
            input == "-" ? try readStandardInput() : FileManager.default.contents(atPath: input).map { Array($0) }
        guard let data else { throw ValidationError("cannot read the input \(input)") }
        guard data.count <= 1 << 30 else {
            throw ValidationError("the input has \(data.count) bytes; at most 1 GiB goes")
        }
        return data
    }

    private func readStandardInput() throws -> [UInt8]? {
        var data: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(0, &buffer, buffer.count)
            if count == 0 { return data }
            if count < 0 {
                if errno == EINTR { continue }
                return nil
            }
            data += buffer[..<count]
            if data.count > 1 << 30 { return data }
        }
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = path == "-" ? 1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw ValidationError("cannot write the output \(path): \(String(cString: strerror(errno)))")
        }
        defer { if descriptor != 1 { close(descriptor) } }
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw ValidationError("cannot write the output \(path): \(String(cString: strerror(errno)))")
            }
            done += count
        }
    }

    /// The configured runtime directory's socket, unless the environment names one; nil leaves it to the library.
    private static func configuredSocket(_ config: String?) throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        if environment["FALLOW_CLIENT_SOCKET"] != nil { return nil }
        let settings = try LoadedSettings.load(path: config, environment: environment).settings
        return settings.runtimeDirectory + "/client.sock"
    }
}

/// A sentence on standard error.
func printError(_ sentence: String) {
    let line = Array((sentence + "\n").utf8)
    _ = Glibc.write(2, line, line.count)
}
