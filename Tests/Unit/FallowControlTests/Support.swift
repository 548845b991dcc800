import FallowControl
import FallowModel
import FallowWire
import Foundation
import Hummingbird
import Logging
import TestProcesses
import Testing

/// A munged of our own, in a folder of its own, for as long as `body` runs.
func withMunged<Result>(_ body: (_ socket: String, _ folder: String) async throws -> Result) async throws -> Result {
    let folder = "/tmp/fallow-munge.\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(
        atPath: folder + "/key", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let key = folder + "/key/munge.key"
    try Data((0..<128).map { _ in UInt8.random(in: .min ... .max) }).write(to: URL(filePath: key))
    for path in [key, folder + "/key"] {
        try FileManager.default.setAttributes(
            [.posixPermissions: path == key ? 0o600 : 0o700], ofItemAtPath: path)
    }
    let socket = folder + "/munge.sock"
    let munged = try ChildProcess([
        "/usr/sbin/munged", "--foreground", "--key-file=\(key)", "--socket=\(socket)",
        "--pid-file=\(folder)/munged.pid", "--log-file=\(folder)/key/munged.log", "--seed-file=\(folder)/key/seed",
        "--num-threads=2",
    ])
    defer {
        munged.signal(SIGTERM)
        try? munged.wait(seconds: 5)
    }
    let probe = Munge(socket: socket)
    for attempt in 0..<200 {
        if (try? await probe.encode(Data("x".utf8), restrictTo: nil)) != nil { break }
        try #require(attempt < 199, "munged did not start")
        try await Task.sleep(for: .milliseconds(20))
    }
    return try await body(socket, folder)
}

/// What the test server says of a request.
struct Echo: Codable, Sendable {
    var user: UInt32
    var node: String?
    var isDaemon: Bool
    var body: String
}

/// A server with the routes that the tests ask, on a free port.
func withServer<Result>(
    _ munge: Munge, trusted: [UserID] = [.root], folder: String, _ body: (_ base: String) async throws -> Result
) async throws -> Result {
    let router = ControlServer.makeRouter(
        SealMiddleware(munge: munge, trustedUsers: trusted, streamingPrefix: "/v1/libraries/"))
    router.get("/v1/health") { _, _ in try Response(json: ["healthy": true]) }
    router.post("/v1/echo/{name}") { request, context in
        let caller = try context.requireCaller()
        let bytes = try await request.body.collect(upTo: 1 << 20)
        return try Response(
            json: Echo(
                user: caller.user.number, node: caller.node?.text, isDaemon: caller.isDaemon,
                body: String(buffer: bytes)))
    }
    router.get("/v1/daemons") { _, context in
        try Response(json: ["node": context.requireDaemon().node.text])
    }
    router.post("/v1/grant") { request, _ in try Response(json: try await request.json(LeaseRenewal.self)) }
    router.get("/v1/slow") { _, _ in
        try await Task.sleep(for: .seconds(30))
        return try Response(json: ["slow": true])
    }
    router.get("/v1/broken") { _, _ -> Response in throw WireError(.conflict, "broken on purpose") }
    router.head("/v1/libraries/{name}") { _, _ -> Response in throw WireError(.notFound, "no such library") }
    router.put("/v1/libraries/{name}") { request, context in
        let path = folder + "/" + (try context.parameter("name"))
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        defer { close(file) }
        let digest = try await request.receiveBody(into: file, context: context, limit: .mebibytes(8))
        return try Response(json: ["sha256": digest.sha256])
    }
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let server = try ControlServer(listen: "127.0.0.1:0", router: router, logger: logger)
    let (ports, feed) = AsyncStream.makeStream(of: Int.self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.run { feed.yield($0) } }
        let port = try #require(await ports.first { _ in true })
        defer { group.cancelAll() }
        return try await body("http://127.0.0.1:\(port)")
    }
}

/// Plain HTTP through curl(1), so that nothing of our client is in the way.
func curl(
    _ url: String, method: String = "GET", body: String? = nil, seal: String? = nil
) async throws -> (Int, Data) {
    try await BlockingPool.shared.run(timeout: .seconds(20), "curl") {
        let command =
            ["/usr/bin/curl", "-s", "-m", "15", "-w", "\n%{http_code}", "-X", method]
            + (seal.map { ["-H", "\(Seal.header): \($0)"] } ?? []) + (body.map { ["--data-binary", $0] } ?? []) + [url]
        let output = try ChildProcess.output(of: command)
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        return (Int(lines.last ?? "") ?? 0, Data(lines.dropLast().joined(separator: "\n").utf8))
    }
}

/// A server of nobody's: it answers every request with 200, `{}` and the seal that the test wants.
func withForger<Result>(_ seal: String, _ body: (_ base: String) async throws -> Result) async throws -> Result {
    let script = """
        import http.server, sys
        class Forger(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                if sys.argv[1]: self.send_header('X-Fallow-Seal', sys.argv[1])
                self.send_header('Content-Length', '2')
                self.end_headers()
                self.wfile.write(b'{}')
            def log_message(self, *_): pass
        server = http.server.HTTPServer(('127.0.0.1', 0), Forger)
        print(server.server_port, flush=True)
        server.serve_forever()
        """
    let said = "/tmp/fallow-forger.\(UInt64.random(in: 0 ... .max))"
    let forger = try ChildProcess(["/usr/bin/python3", "-c", script, seal], output: said)
    defer {
        forger.signal(SIGKILL)
        try? forger.wait(seconds: 5)
        unlink(said)
    }
    var port = ""
    for _ in 0..<1000 where port.isEmpty {
        try await Task.sleep(for: .milliseconds(20))
        let text = try String(contentsOfFile: said, encoding: .utf8)
        if text.hasSuffix("\n") { port = String(text.dropLast()) }
    }
    return try await body("http://127.0.0.1:\(port)")
}
