import FallowControl
import FallowModel
import FallowWire
import Foundation
import Testing

@Suite struct MungeTests {
    @Test func aCredentialCarriesPayloadAndUser() async throws {
        try await withMunged { socket, _ in
            let munge = Munge(socket: socket)
            let payload = Data((0..<5000).map { UInt8(truncatingIfNeeded: $0) })
            let proof = try await munge.decode(munge.encode(payload, restrictTo: UserID(getuid())))
            #expect(proof.payload == payload)
            #expect(proof.user == UserID(getuid()))
            #expect(abs((Timestamp.now - proof.encodedAt).inSeconds) < 5)
        }
    }

    @Test func usedTwiceForSomebodyElseOrTamperedWithItIsRefused() async throws {
        try await withMunged { socket, _ in
            let munge = Munge(socket: socket)
            let credential = try await munge.encode(Data("x".utf8), restrictTo: nil)
            _ = try await munge.decode(credential)
            let replayed = await #expect(throws: MungeError.self) { try await munge.decode(credential) }
            #expect(replayed?.kind == .replayed)
            let foreign = try await munge.encode(Data("x".utf8), restrictTo: UserID(54_321))
            let restricted = await #expect(throws: MungeError.self) { try await munge.decode(foreign) }
            #expect(restricted?.kind == .restricted)
            let garbage = await #expect(throws: MungeError.self) { try await munge.decode("MUNGE:rubbish:") }
            #expect(garbage?.kind == .invalid)
            let short = try await munge.encode(Data("x".utf8), restrictTo: nil, timeToLive: .seconds(1))
            try await Task.sleep(for: .seconds(2.2))
            let expired = await #expect(throws: MungeError.self) { try await munge.decode(short) }
            #expect(expired?.kind == .expired)
        }
    }

    @Test func withoutMungedTheSentenceNamesTheSocket() async throws {
        let munge = Munge(socket: "/tmp/fallow-no-munged.sock")
        let error = await #expect(throws: MungeError.self) { try await munge.encode(Data(), restrictTo: nil) }
        #expect(error?.kind == .unreachable)
        #expect(error?.description.contains("/tmp/fallow-no-munged.sock") == true)
    }

    @Test func aCallThatHangsIsBounded() async throws {
        let pool = BlockingPool(name: "test", threads: 1, limit: 2)
        let started = ContinuousClock.now
        let error = await #expect(throws: WireError.self) {
            try await pool.run(timeout: .milliseconds(100), "hang") { usleep(6_000_000) }
        }
        #expect(error?.code == .unavailable)
        #expect(ContinuousClock.now - started < .seconds(5), "before the call that hangs came back")
        // The hanging call still holds the one thread; two more may wait, the next is refused.
        async let second: Void = pool.run(timeout: .seconds(9), "second") {}
        async let third: Void = pool.run(timeout: .seconds(9), "third") {}
        try await Task.sleep(for: .milliseconds(300))
        let full = await #expect(throws: WireError.self) { try await pool.run("fourth") {} }
        #expect(full?.message.contains("wait already") == true)
        try await third
        try await second
    }
}
