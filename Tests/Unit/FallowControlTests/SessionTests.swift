import FallowModel
import FallowWire
import Foundation
import Testing

@testable import FallowControl

@Suite struct SessionTests {
    private let key = SessionKey(
        id: Seal.randomID(), bytes: (0..<SessionKey.byteCount).map { _ in .random(in: .min ... .max) })

    /// Agrees on `key` by a MUNGE seal, as a daemon of node n1 or as a user's program.
    private func agree(_ munge: Munge, _ base: String, node: NodeName?) async throws {
        let seal = RequestSeal(
            method: "POST", path: "/v1/echo/a", bodySHA256: Seal.digest(Data("x".utf8)), node: node,
            expires: .now + Seal.life, id: key.id, sessionKey: Seal.hexadecimal(key.bytes))
        let credential = try await munge.encode(ControlJSON.encode(seal), restrictTo: .root)
        #expect(try await curl(base + "/v1/echo/a", method: "POST", body: "x", seal: credential).0 == 200)
    }

    private func seal(_ number: UInt64, path: String = "/v1/echo/a", expires: Duration = .seconds(60)) -> SessionSeal {
        SessionSeal(
            key, number: number, method: "POST", path: path, bodySHA256: Seal.digest(Data("x".utf8)),
            expires: .now + expires)
    }

    private func status(
        _ base: String, _ seal: SessionSeal, path: String = "/v1/echo/a", body: String = "x"
    ) async throws -> (Int, String) {
        let (status, data) = try await curl(base + path, method: "POST", body: body, seal: seal.header)
        return (status, String(decoding: data, as: UTF8.self))
    }

    @Test func theServerBelievesASessionsSealOnceAndForItsRequestAlone() async throws {
        try await withMunged { socket, folder in
            let munge = Munge(socket: socket)
            try await withServer(munge, folder: folder) { base in
                #expect(try await status(base, seal(1)).0 == 401, "before anything was agreed on")
                try await agree(munge, base, node: NodeName("n1"))
                let first = seal(1)
                let good = try await status(base, first)
                #expect(good.0 == 200 && good.1.contains("\"n1\"") && good.1.contains("\"isDaemon\":true"))
                #expect(try await status(base, first).1.contains("sent before"))
                #expect(try await status(base, seal(2), path: "/v1/echo/b").0 == 401)
                #expect(try await status(base, seal(9), body: "y").0 == 401)
                #expect(try await status(base, seal(2, expires: .seconds(-1))).0 == 401)
                var other = seal(2)
                other.number = 3
                #expect(try await status(base, other).0 == 401)
                other = seal(2)
                other.code[31] ^= 1
                #expect(try await status(base, other).0 == 401)
                other = seal(2)
                other.code.removeLast()
                #expect(try await status(base, other).0 == 401)
                other = seal(2)
                other.id = Seal.randomID()
                #expect(try await status(base, other).1.contains("no such session"))
                #expect(try await status(base, seal(2)).0 == 200, "none of these took its number")
                #expect(try await curl(base + "/v1/echo/a", method: "POST", body: "x", seal: "session 1 2").0 == 401)
            }
        }
    }

    @Test func aUsersProgramHasNoSession() async throws {
        try await withMunged { socket, folder in
            let munge = Munge(socket: socket)
            try await withServer(munge, folder: folder) { base in
                try await agree(munge, base, node: nil)
                #expect(try await status(base, seal(1)).0 == 401)
            }
            #expect(SealedClient(munge: munge, trustedUsers: [.root]).sessions == nil)
        }
    }

    @Test func aDaemonAsksMungeOnce() async throws {
        try await withMunged { socket, folder in
            let link = folder + "/link"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: socket)
            try await withServer(Munge(socket: socket), folder: folder) { base in
                let daemon = SealedClient(munge: Munge(socket: link), trustedUsers: [.root], node: NodeName("n1"))
                try await daemon.sendIgnoringReply(.get, base, "/v1/daemons")
                try FileManager.default.removeItem(atPath: link)
                for _ in 0..<20 {
                    #expect(
                        try await daemon.send(.get, base, "/v1/daemons", reply: [String: String].self) == ["node": "n1"]
                    )
                }
                let broken = await #expect(throws: WireError.self) {
                    try await daemon.sendIgnoringReply(.get, base, "/v1/broken")
                }
                #expect(broken == WireError(.conflict, "broken on purpose"))
                let other = SealedClient(munge: Munge(socket: link), trustedUsers: [.root], node: NodeName("n1"))
                await #expect(throws: WireError.self) { try await other.sendIgnoringReply(.get, base, "/v1/daemons") }
            }
        }
    }

    @Test func aServerThatForgotIsAskedByMunge() async throws {
        try await withMunged { socket, folder in
            try await withServer(Munge(socket: socket), folder: folder) { base in
                let daemon = SealedClient(munge: Munge(socket: socket), trustedUsers: [.root], node: NodeName("n1"))
                daemon.sessions?.begin(base, key)
                try await daemon.sendIgnoringReply(.get, base, "/v1/daemons")
                let now = try #require(daemon.sessions?.next(base))
                #expect(now.key != key && now.number == 1)
            }
        }
    }

    @Test func aLetterIsReadByItsSessionAlone() throws {
        let text = SessionLetter(Array("a secret".utf8), key: key).text
        let letter = try #require(SessionLetter(text: text))
        #expect(letter.plain(key: key) == Array("a secret".utf8))
        var other = key
        other.bytes[0] ^= 1
        #expect(letter.plain(key: other) == nil)
        // Altered in each byte of the box, and cut.
        let box = try #require(Data(base64Encoded: String(text.split(separator: " ")[2])))
        func altered(_ box: Data) -> SessionLetter? {
            SessionLetter(text: "session \(key.id) \(box.base64EncodedString())")
        }
        for index in box.indices {
            var other = box
            other[index] ^= 0x40
            #expect(altered(other)?.plain(key: key) == nil)
        }
        for count in [0, 1, 24, box.count - 1] { #expect(altered(box.prefix(count))?.plain(key: key) == nil) }
        for wrong in ["", "session", "session \(key.id)", "session \(key.id) !", "MUNGE:AwQDAACUkgjn:"] {
            #expect(SessionLetter(text: wrong) == nil)
        }
        #expect(SessionLetter(Array("a secret".utf8), key: key).text != text, "no two are alike")
    }

    @Test func aReplysLettersAreReadByTheKeyItCameUnder() throws {
        let text = SessionLetter([7], key: key).text
        #expect(try Letters(key: key, base: "http://a").read(text) == [7])
        #expect(try Letters(key: key, base: "http://a").read("MUNGE:AwQDAACUkgjn:") == nil)
        let other = SessionKey(id: Seal.randomID(), bytes: key.bytes)
        for wrong in [other, nil] {
            let refused = #expect(throws: WireError.self) { try Letters(key: wrong, base: "http://a").read(text) }
            #expect(refused?.code == .refused)
        }
    }

    @Test(arguments: ["", "session", "session zz", "session 00", "MUNGE:x:"])
    func aReplyByNobodyIsNotBelieved(_ seal: String) async throws {
        try await withMunged { socket, _ in
            try await withForger(seal) { base in
                let daemon = SealedClient(munge: Munge(socket: socket), trustedUsers: [.root], node: NodeName("n1"))
                daemon.sessions?.begin(base, key)
                let refused = await #expect(throws: WireError.self) {
                    try await daemon.sendIgnoringReply(.get, base, "/v1/daemons")
                }
                #expect(refused?.code == .refused)
            }
        }
    }
}
