import FallowModel
import FallowWire
import Foundation
import HTTPTypes
import Testing

@testable import FallowWeb

@Suite struct SightTests {
    private func report() -> CapacityReport {
        var report = CapacityReport(cluster: "c", since: now, until: now, hoursSince: now, hoursUntil: now)
        report.jobs = [job(1, user: 1001), job(2, user: 1002)]
        report.lenders = [.init(user: UserID(1001), coreSeconds: 5, byteSeconds: 0)]
        report.borrowers = [.init(user: UserID(1002), coreSeconds: 5, byteSeconds: 0)]
        report.nodes = [.init(node: NodeName("n1"), cores: 8, memory: .zero, use: CapacityUse())]
        return report
    }

    @Test func withoutPrivateDataEverythingIsShown() {
        let sight = Sight(.reader, [])
        let shown = sight.filtered(report())
        #expect(sight.isWhole && shown.jobs.count == 2 && shown.lenders.count == 1 && shown.nodes.count == 1)
    }

    @Test func eachWordHidesItsOwn() {
        #expect(Sight(.reader, .jobs).filtered(report()).jobs.isEmpty)
        #expect(Sight(.reader, .jobs).filtered(report()).lenders.count == 1)
        #expect(Sight(.reader, .usage).filtered(report()).lenders.isEmpty)
        #expect(Sight(.reader, .usage).filtered(report()).jobs.count == 2)
        #expect(Sight(.reader, .nodes).filtered(report()).nodes.isEmpty)
        #expect(Sight(.reader, .accounts).filtered(report()).jobs.allSatisfy { $0.facts.account == nil })
        let users = Sight(.reader, .users).filtered(report())
        #expect(users.jobs.isEmpty && users.borrowers.isEmpty)
    }

    @Test func onesOwnIsAlwaysShownAndOperatorsSeeAll() {
        let own = Sight(.user(UserID(1001)), .everything).filtered(report())
        #expect(own.jobs.map(\.facts.jobID) == [JobID(1)] && own.jobs.first?.facts.account == "physics")
        #expect(own.lenders.count == 1 && own.borrowers.isEmpty && own.nodes.isEmpty)
        #expect(Sight(.operator(UserID(0)), .everything).isWhole)
    }

    @Test func hiddenLeasesAreCountedAndNotTold() {
        let running = [lease(1, user: 1001), lease(2, user: 1002)]
        let board = LeaseBoard(
            running: running, ended: [lease(3, user: 1002, ended: .reclaimed)], Sight(.user(UserID(1001)), .jobs), [:])
        #expect(board.count == 2 && board.hidden == 1 && board.running.map(\.user) == ["1001"] && board.ended.isEmpty)
    }

    // MARK: who may read

    private func access(_ body: (WebAccess) async throws -> Void) async throws {
        let folder = "/tmp/fallow-access.\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("the-readers-token-1\n".utf8).write(to: URL(filePath: folder + "/reader"))
        try Data("the-proxys-token-22\n".utf8).write(to: URL(filePath: folder + "/proxy"))
        try await body(
            WebAccess(
                settings: WebSettings(
                    cluster: "c", version: "1", operators: [.root], readerTokenFile: folder + "/reader",
                    proxyTokenFile: folder + "/proxy", chartLibrary: ""), names: UserNames()))
    }
    private func knock(
        local: Bool = false, host: String = "fallow.example", _ headers: HTTPFields = [:], cookie: String? = nil
    ) -> WebAccess.Knock { .init(isLocal: local, authority: host, headers: headers, cookie: cookie) }

    @Test func othersNeedTheTokenOrItsCookie() async throws {
        try await access { access in
            await #expect(throws: WireError.self) { try await access.viewer(knock()) }
            #expect(try await access.viewer(knock([.authorization: "Bearer the-readers-token-1"])) == .reader)
            await #expect(throws: WireError.self) {
                try await access.viewer(knock([.authorization: "Bearer the-readers-token-2"]))
            }
            let cookie = try access.cookie(for: "the-readers-token-1")
            #expect(try await access.viewer(knock(cookie: cookie.value)) == .reader)
            await #expect(throws: WireError.self) { try await access.viewer(knock(cookie: "the-readers-token-1")) }
            #expect(throws: WireError.self) { try access.cookie(for: "the-readers-token-2") }
        }
    }

    @Test(arguments: [
        ("localhost:6880", true), ("127.0.0.1", true), ("[::1]:6880", true), ("10.1.2.3:80", true),
        ("evil.example", false), ("evil.example:6880", false), ("", true), ("1.2.3.4.evil.example", false),
    ])
    func thisMachineReadsUnderItsOwnNamesAlone(_ host: String, _ isFine: Bool) async throws {
        try await access { access in
            let viewer = try? await access.viewer(knock(local: true, host: host))
            #expect((viewer == .reader) == isFine)
        }
    }

    @Test func aProxyNamesWhoLooks() async throws {
        let token = WebAccess.proxyHeader
        let user = WebAccess.userHeader
        try await access { access in
            func viewer(_ headers: HTTPFields) async throws -> Viewer { try await access.viewer(knock(headers)) }
            #expect(try await viewer([token: "the-proxys-token-22", user: "root"]) == .operator(.root))
            let mail = try await viewer([token: "the-proxys-token-22", user: "mail"])
            #expect(mail == .user(UserID(8)))
            #expect(try await viewer([token: "the-proxys-token-22"]) == .reader)
            await #expect(throws: WireError.self) { try await viewer([token: "the-readers-token-1", user: "root"]) }
            await #expect(throws: WireError.self) {
                try await viewer([token: "the-proxys-token-22", user: "nobody-of-this-name"])
            }
            // Without its token nobody is believed, also not from this machine.
            await #expect(throws: WireError.self) {
                try await access.viewer(knock(local: true, host: "localhost", [user: "root"]))
            }
        }
    }
}
