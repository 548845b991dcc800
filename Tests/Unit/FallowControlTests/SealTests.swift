import FallowModel
import FallowWire
import Foundation
import TestProcesses
import Testing

@testable import FallowControl

/// A request with any seal that a test wants, without the client's care.
private func raw(
    _ munge: Munge, _ base: String, method: String = "POST", path: String = "/v1/echo/a", body: String = "\"hi\"",
    sealedMethod: String? = nil, sealedPath: String? = nil, sealedBody: String? = nil, expires: Duration = .seconds(60),
    credential: String? = nil
) async throws -> (status: Int, error: WireError?, credential: String) {
    let seal = RequestSeal(
        method: sealedMethod ?? method, path: sealedPath ?? path,
        bodySHA256: Seal.digest(Data((sealedBody ?? body).utf8)), node: nil, expires: Timestamp.now + expires,
        id: Seal.randomID())
    let own = try await munge.encode(ControlJSON.encode(seal), restrictTo: .root)
    let (status, data) = try await curl(base + path, method: method, body: body, seal: credential ?? own)
    return (status, try? ControlJSON.decode(WireError.self, from: data), credential ?? own)
}

@Suite struct SealTests {
    @Test func theServerBelievesOnlyWhatWasSealed() async throws {
        try await withMunged { socket, folder in
            let munge = Munge(socket: socket)
            try await withServer(munge, folder: folder) { base in
                let good = try await raw(munge, base)
                #expect(good.status == 200)
                #expect(try await raw(munge, base, credential: good.credential).status == 401, "replayed")
                #expect(try await raw(munge, base, sealedBody: "\"other\"").status == 401)
                #expect(try await raw(munge, base, sealedPath: "/v1/echo/b").status == 401)
                #expect(try await raw(munge, base, sealedMethod: "GET").status == 401)
                let expired = try await raw(munge, base, expires: .seconds(-1))
                #expect(expired.status == 401)
                #expect(expired.error?.message == "the seal has expired")
                #expect(try await raw(munge, base, credential: "MUNGE:AwQDA:").status == 401)
                let foreign = try await munge.encode(Data("{}".utf8), restrictTo: .root)
                #expect(try await raw(munge, base, credential: foreign).status == 401)
                let none = try await curl(base + "/v1/daemons")
                #expect(none.0 == 401)
                #expect(String(decoding: none.1, as: UTF8.self).contains("X-Fallow-Seal"))
                #expect(try await curl(base + "/v1/health").0 == 200)
            }
        }
    }

    @Test func theClientBelievesOnlyTrustedUsersAndSealedReplies() async throws {
        try await withMunged { socket, folder in
            let munge = Munge(socket: socket)
            try await withServer(munge, folder: folder) { base in
                let user = SealedClient(munge: munge, trustedUsers: [.root])
                let echo = try await user.send(.post, base, "/v1/echo/a", body: "hi", reply: Echo.self)
                #expect(echo.user == getuid() && echo.body == "\"hi\"" && !echo.isDaemon)
                let daemon = SealedClient(munge: munge, trustedUsers: [.root], node: NodeName("n1"))
                #expect(
                    try await daemon.send(.get, base, "/v1/daemons", reply: [String: String].self) == ["node": "n1"])
                let refused = await #expect(throws: WireError.self) {
                    try await user.sendIgnoringReply(.get, base, "/v1/daemons")
                }
                #expect(refused?.code == .refused)
                // Sealed for uid 1, so the server cannot open it and cannot seal its answer.
                let wrongReader = SealedClient(munge: munge, trustedUsers: [UserID(1), .root])
                let unsealed = await #expect(throws: WireError.self) {
                    try await wrongReader.sendIgnoringReply(.get, base, "/v1/daemons")
                }
                #expect(unsealed?.message.contains("no sealed reply") == true)
            }
        }
    }

    @Test func errorsComeWithTheirCodeAndSentence() async throws {
        try await withMunged { socket, folder in
            let munge = Munge(socket: socket)
            try await withServer(munge, folder: folder) { base in
                let client = SealedClient(munge: munge, trustedUsers: [.root])
                func failure(_ method: HTTPVerb, _ path: String, _ body: (any Encodable & Sendable)? = nil) async
                    -> WireError?
                {
                    do {
                        try await client.sendIgnoringReply(method, base, path, body: body)
                        return nil
                    } catch { return error as? WireError }
                }
                #expect(await failure(.get, "/v1/broken") == WireError(.conflict, "broken on purpose"))
                #expect(await failure(.get, "/v1/nowhere")?.code == .notFound)
                #expect(await failure(.get, "/v1/nowhere")?.message.contains("/v1/nowhere") == true)
                let missing = await failure(.post, "/v1/grant", ["term": 1])
                #expect(missing?.message.contains("termSeconds is missing") == true)
                #expect(await failure(.post, "/v1/grant", "no")?.code == .invalid)
                let large = await failure(.post, "/v1/echo/a", String(repeating: "x", count: 2 << 20))
                #expect(large?.message.contains("limit") == true)
                #expect(await failure(.head, "/v1/libraries/x")?.code == .notFound)
                #expect(await failure(.get, "/v1/nowhere%2F..%00?x=%zz") != nil)
                let slow = await #expect(throws: WireError.self) {
                    try await client.sendIgnoringReply(.get, base, "/v1/slow", timeout: .milliseconds(300))
                }
                #expect(slow?.code == .unavailable)
            }
            let client = SealedClient(munge: munge, trustedUsers: [.root])
            let nobody = await #expect(throws: WireError.self) {
                try await client.sendIgnoringReply(
                    .get, "http://127.0.0.1:1", "/v1/health", timeout: .seconds(2), attempts: 3)
            }
            #expect(nobody?.code == .unavailable)
            let nonsense = await #expect(throws: WireError.self) {
                try await client.sendIgnoringReply(.get, "not an address", "/v1/health")
            }
            #expect(nonsense != nil)
        }
    }

    @Test func filesTravelInChunksAndAreChecked() async throws {
        try await withMunged { socket, folder in
            let munge = Munge(socket: socket)
            try await withServer(munge, folder: folder) { base in
                let client = SealedClient(munge: munge, trustedUsers: [.root])
                let bytes = Data((0..<(3 << 20) + 17).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
                try bytes.write(to: URL(filePath: folder + "/source"))
                let file = open(folder + "/source", O_RDONLY)
                defer { close(file) }
                let digest = try await FileDigest.of(descriptor: file)
                #expect(digest.size == ByteCount(bytes.count) && digest.sha256 == Seal.digest(bytes))
                try await client.upload(base, "/v1/libraries/copy", descriptor: file, digest: digest)
                #expect(try Data(contentsOf: URL(filePath: folder + "/copy")) == bytes)
                var lie = digest
                lie.sha256 = Seal.digest(Data())
                let refused = await #expect(throws: WireError.self) {
                    try await client.upload(base, "/v1/libraries/copy", descriptor: file, digest: lie)
                }
                #expect(refused?.code == .refused)
                try Data(count: 9 << 20).write(to: URL(filePath: folder + "/big"))
                let big = open(folder + "/big", O_RDONLY)
                defer { close(big) }
                let bigDigest = try await FileDigest.of(descriptor: big)
                let large = await #expect(throws: WireError.self) {
                    try await client.upload(base, "/v1/libraries/copy", descriptor: big, digest: bigDigest)
                }
                #expect(large != nil)
                await #expect(throws: WireError.self) {
                    try await FileDigest.of(descriptor: big, limit: .mebibytes(1))
                }
            }
        }
    }

    @Test(arguments: ["", "6880", "host", "host:", "host:99999", ":80", "host:-1"])
    func badAddressesAreRefused(_ text: String) {
        #expect(throws: WireError.self) { try ControlServer.parse(text) }
    }
}
