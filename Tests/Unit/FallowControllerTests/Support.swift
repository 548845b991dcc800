import FallowModel
import FallowWire
import Foundation
import TestProcesses
import Testing

@testable import FallowControl

let nobody = UserID(65_534)
private let agentStart = Timestamp.now

/// A real munged and a real fallowctld in a folder of their own.
final class Daemons: Sendable {
    let folder: String
    let munge: Munge
    private let munged: ChildProcess
    nonisolated(unsafe) private var controller: ChildProcess?
    nonisolated(unsafe) private(set) var base = ""

    var socket: String { folder + "/munge.sock" }
    /// Root as a user's program, which is an operator too.
    var operatorClient: SealedClient { SealedClient(munge: munge, trustedUsers: [.root]) }
    func daemon(_ node: String) -> SealedClient {
        SealedClient(munge: munge, trustedUsers: [.root], node: NodeName(node))
    }

    init() async throws {
        folder = "/tmp/fallow-controller.\(UInt64.random(in: 0 ... .max))"
        let files = FileManager.default
        try files.createDirectory(
            atPath: folder + "/key", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let key = folder + "/key/munge.key"
        try Data((0..<128).map { _ in UInt8.random(in: .min ... .max) }).write(to: URL(filePath: key))
        try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
        try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder + "/key")
        munge = Munge(socket: folder + "/munge.sock")
        munged = try ChildProcess(
            [
                "/usr/sbin/munged", "--foreground", "--key-file=\(key)", "--socket=\(folder)/munge.sock",
                "--pid-file=\(folder)/munged.pid", "--log-file=\(folder)/key/munged.log",
                "--seed-file=\(folder)/key/seed",
            ])
        let munge = munge
        try await eventually("munged starts") { (try? await munge.encode(Data(), restrictTo: nil)) != nil }
        let products = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().path
        try Data(
            """
            controller: {listen: "127.0.0.1:0"}
            state_directory: \(folder)/state
            munge: {socket: \(folder)/munge.sock}
            slurm: {poll_interval: 0.5, reader_path: "\(products)/fallow-slurm-reader"}
            lease: {per_user: 3}
            """.utf8
        ).write(to: URL(filePath: folder + "/fallow.yaml"))
        try await startController()
    }

    func startController() async throws {
        let url = folder + "/state/fallowctld.url"
        try? FileManager.default.removeItem(atPath: url)
        let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "fallowctld")
        controller = try ChildProcess(
            [program.path, "--config", folder + "/fallow.yaml"], environment: ["SLURM_CONF": "/nonexistent/slurm.conf"],
            output: folder + "/fallowctld.log")
        try await eventually("fallowctld starts") { FileManager.default.fileExists(atPath: url) }
        base = String(decoding: FileManager.default.contents(atPath: url) ?? Data(), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Sends a signal and waits for the end; how long that took.
    func stopController(_ signal: Int32) async throws -> Duration {
        let process = try #require(controller)
        let started = ContinuousClock.now
        process.signal(signal)
        try await eventually("fallowctld ends") { !process.isRunning }
        return ContinuousClock.now - started
    }

    func end() {
        for process in [controller, munged] {
            process?.signal(SIGKILL)
            try? process?.wait(seconds: 5)
        }
        try? FileManager.default.removeItem(atPath: folder)
    }

    var log: String {
        String(decoding: FileManager.default.contents(atPath: folder + "/fallowctld.log") ?? Data(), as: UTF8.self)
    }

    /// What an ordinary user gets: sealed by munge(1) as that user, asked by curl(1).
    func asNobody(_ method: String, _ path: String, body: String = "", node: String? = nil) async throws
        -> (status: Int, body: String)
    {
        let seal = RequestSeal(
            method: method, path: path, bodySHA256: Seal.digest(Data(body.utf8)), node: node.map { NodeName($0) },
            expires: Timestamp.now + .seconds(30), id: Seal.randomID())
        let payload = String(decoding: try ControlJSON.encode(seal), as: UTF8.self)
        let socket = socket
        let base = base
        return try await BlockingPool.shared.run(timeout: .seconds(20), "nobody asks") {
            let credential = try ChildProcess.output(of: [
                "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/munge",
                "--socket=\(socket)", "--restrict-uid=0", "--string=\(payload)",
            ]).trimmingCharacters(in: .whitespacesAndNewlines)
            let answer = try ChildProcess.output(
                of: [
                    "/usr/bin/curl", "-s", "-m", "10", "-w", "\n%{http_code}", "-X", method, "-H",
                    "\(Seal.header): \(credential)",
                ] + (body.isEmpty ? [] : ["--data-binary", body]) + [base + path])
            let lines = answer.split(separator: "\n", omittingEmptySubsequences: false)
            return (Int(lines.last ?? "") ?? 0, lines.dropLast().joined(separator: "\n"))
        }
    }
}

func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<500 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    throw WireError(.unavailable, "not within 10 s: \(what)")
}

func report(
    _ node: String, sequence: UInt64, cores: Int = 4, offer: Int, leases: [LeaseReport] = [], ended: [LeaseEnded] = []
) -> NodeReport {
    NodeReport(
        node: NodeName(node), agentURL: "http://127.0.0.1:9", version: "t", instance: 5, sequence: sequence, at: .now,
        instanceStartedAt: agentStart, cores: cores, memory: .gibibytes(8),
        offer: Offer(cores: offer, memory: .gibibytes(8)), withheldReason: nil,
        switches: LendingSwitches(unallocated: true), integrals: NodeIntegrals(elapsedSeconds: 1, usedCoreSeconds: 2),
        jobs: [
            JobReport(
                jobID: JobID(7), user: UserID(4242), cores: AbstractCoreSet(0...0), memory: .gibibytes(1),
                firstSeenAt: Timestamp(secondsSinceEpoch: 1_700_000_000))
        ], leases: leases, ended: ended, reclaims: [])
}

func request(
    _ id: UInt64, from: String = "n2", user: UserID = nobody, cpus: Int = 1, wait: Double = 0,
    readsLetters: Bool? = nil
) -> LeaseRequest {
    LeaseRequest(
        requestID: id, user: user, fromNode: NodeName(from), fromAgentURL: "http://127.0.0.1:9",
        demand: LeaseDemand(cpus: cpus, memory: .gibibytes(1), waitSeconds: wait, libraryName: "f.so"),
        readsLetters: readsLetters)
}
