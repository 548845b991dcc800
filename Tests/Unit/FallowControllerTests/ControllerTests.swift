import FallowConfiguration
import FallowModel
import FallowWeb
import FallowWire
import Foundation
import Logging
import Testing
import Yams

@testable import FallowControl
@testable import FallowController
@testable import FallowHistory
@testable import FallowPolicy

private func withDaemons(_ body: (Daemons) async throws -> Void) async throws {
    let daemons = try await Daemons()
    defer { daemons.end() }
    do {
        try await body(daemons)
    } catch {
        Issue.record("\(error)\n\(daemons.log)")
    }
}

/// The sentence of a call that must fail.
private func failure<Value>(_ call: () async throws -> Value) async -> WireError? {
    do {
        _ = try await call()
        return nil
    } catch { return error as? WireError }
}

@Suite(.serialized) struct ControllerTests {
    @Test func aLeaseFromGrantToEnd() async throws {
        try await withDaemons { daemons in
            let base = daemons.base
            let (n1, n2) = (daemons.daemon("n1"), daemons.daemon("n2"))
            var instructions = try await n1.send(
                .post, base, "/v1/nodes/n1/report", body: report("n1", sequence: 1, offer: 2),
                reply: NodeInstructions.self)
            #expect(instructions.slurm == nil && instructions.end.isEmpty && instructions.controllerInstance != 0)

            let granted = try await n2.send(
                .post, base, "/v1/leases", body: request(1, cpus: 2), reply: LeaseGranted.self)
            #expect(granted.node == NodeName("n1") && granted.agentURL == "http://127.0.0.1:9")
            let grant = try ControlJSON.decode(
                Grant.self, from: try await daemons.munge.decode(granted.grant).payload)
            let receipt = try ControlJSON.decode(
                Grant.self, from: try await daemons.munge.decode(granted.receipt).payload)
            #expect(grant.secret.count == 64 && grant.secret == receipt.secret && grant.leaseID == granted.leaseID)
            await #expect(throws: MungeError.self) { try await daemons.munge.decode(granted.grant) }
            // The same request again: the same lease. Another: there is nothing left.
            let again = try await n2.send(
                .post, base, "/v1/leases", body: request(1, cpus: 2), reply: LeaseGranted.self)
            #expect(again.leaseID == granted.leaseID)
            #expect(!again.grant.isEmpty && again.receipt.hasPrefix("MUNGE:"), "an older agent reads no letters")
            // Since the first answer n2 and the co-scheduler have a session, and to who reads letters its receipts are such.
            let (third, letters) = try await n2.sendForLetters(
                .post, base, "/v1/leases", body: request(1, cpus: 2, readsLetters: true), reply: LeaseGranted.self)
            #expect(third.leaseID == granted.leaseID && third.grant.hasPrefix("MUNGE:"))
            let plain = try #require(try letters.read(third.receipt))
            let letter = try ControlJSON.decode(Grant.self, from: Data(plain))
            #expect(letter.secret == grant.secret && letter.leaseID == grant.leaseID)
            let (_, others) = try await n2.sendForLetters(.get, base, "/v1/status", reply: ClusterStatus.self)
            #expect(try others.read(third.receipt) != nil, "of the same session")
            let full = await failure {
                try await n2.send(.post, base, "/v1/leases", body: request(2), reply: LeaseGranted.self)
            }
            #expect(full?.code == .noCapacity && full?.message.contains("no node has 1 core") == true)

            let running = LeaseReport(
                leaseID: grant.leaseID, user: nobody, cores: AbstractCoreSet(0...1), memory: .gibibytes(1),
                startedAt: .now, termEnds: grant.termEnds, beneath: nil, usedCoreSeconds: 3, libraryName: "f.so")
            _ = try await n1.send(
                .post, base, "/v1/nodes/n1/report", body: report("n1", sequence: 2, offer: 0, leases: [running]),
                reply: NodeInstructions.self)
            let renewed = try await n2.send(
                .post, base, "/v1/leases/\(grant.leaseID)/renew", body: LeaseRenewal(termSeconds: 900),
                reply: LeaseRenewed.self)
            #expect(renewed.termEnds > grant.termEnds)
            let status = try await daemons.operatorClient.send(.get, base, "/v1/status", reply: ClusterStatus.self)
            #expect(status.leases == 1 && status.leasedCores == 2 && status.nodesReporting == 1 && !status.slurmAnswers)

            // The client's agent releases it: its node is told until it obeys.
            _ = try await n2.send(
                .delete, base, "/v1/leases/\(grant.leaseID)",
                body: LeaseEndNotice(leaseID: grant.leaseID, reason: .clientGone), reply: LeaseEndNotice.self)
            for sequence in 3...4 as ClosedRange<UInt64> {
                instructions = try await n1.send(
                    .post, base, "/v1/nodes/n1/report",
                    body: report("n1", sequence: sequence, offer: 0, leases: [running]), reply: NodeInstructions.self)
                #expect(instructions.end.map(\.reason) == [.clientGone])
            }
            instructions = try await n1.send(
                .post, base, "/v1/nodes/n1/report",
                body: report(
                    "n1", sequence: 5, offer: 2,
                    ended: [LeaseEnded(lease: running, at: .now, reason: .clientGone, detail: "x")]),
                reply: NodeInstructions.self)
            #expect(instructions.end.isEmpty)
            let ended = try await daemons.operatorClient.send(
                .get, base, "/v1/leases?ended=1", reply: [LeaseView].self)
            #expect(ended.map(\.reason) == [.clientGone] && ended.first?.usedCoreSeconds == 3)
            let capacity = try await daemons.operatorClient.send(.get, base, "/v1/report", reply: CapacityReport.self)
            #expect(capacity.leases.map(\.reason) == ["clientGone"] && capacity.total?.usedCoreSeconds == 2)
        }
    }

    @Test func ordinaryUsersSeeAndTouchTheirOwnAlone() async throws {
        try await withDaemons { daemons in
            let n1 = daemons.daemon("n1")
            _ = try await n1.send(
                .post, daemons.base, "/v1/nodes/n1/report", body: report("n1", sequence: 1, offer: 4),
                reply: NodeInstructions.self)
            let others = try await n1.send(
                .post, daemons.base, "/v1/leases", body: request(1, from: "n1", user: UserID(4242)),
                reply: LeaseGranted.self)
            let own = try await n1.send(
                .post, daemons.base, "/v1/leases", body: request(2, from: "n1"), reply: LeaseGranted.self)
            let leases = try await daemons.asNobody("GET", "/v1/leases")
            #expect(leases.status == 200 && leases.body.contains(own.leaseID.description))
            #expect(!leases.body.contains(others.leaseID.description) && !leases.body.contains("4242"))
            #expect(try await daemons.asNobody("GET", "/v1/jobs").body == "[]")
            #expect(try await daemons.asNobody("GET", "/v1/nodes").status == 200)
            #expect(try await daemons.asNobody("DELETE", "/v1/leases/\(others.leaseID)").status == 404)
            #expect(try await daemons.asNobody("DELETE", "/v1/leases/\(own.leaseID)").status == 200)
            let switches = try await daemons.asNobody(
                "PUT", "/v1/switches", body: #"{"unallocated":true,"lent":true}"#)
            #expect(switches.status == 403 && switches.body.contains("operators"))
            // Naming a node makes nobody a daemon.
            for path in ["/v1/leases", "/v1/nodes/n1/report"] {
                let refused = try await daemons.asNobody("POST", path, body: "{}", node: "n1")
                #expect(refused.status == 403 && refused.body.contains("uid 65534"), "\(refused)")
            }
        }
    }

    @Test func badRequestsGetASentence() async throws {
        try await withDaemons { daemons in
            let n1 = daemons.daemon("n1")
            func post(_ path: String, _ body: some Encodable & Sendable) async -> WireError? {
                await failure { try await n1.sendIgnoringReply(.post, daemons.base, path, body: body) }
            }
            #expect(await post("/v1/nodes/n2/report", report("n2", sequence: 1, offer: 1))?.code == .refused)
            #expect(await post("/v1/leases", request(1, from: "n2"))?.code == .refused)
            #expect(await post("/v1/nodes/n1/report", ["node": "n1"])?.message.contains("missing") == true)
            var silly = report("n1", sequence: 1, offer: 1)
            silly.offer.cores = .min
            #expect(await post("/v1/nodes/n1/report", silly)?.message.contains("offer.cores") == true)
            silly.offer = Offer(cores: 1, memory: ByteCount(Int64.max))
            #expect(await post("/v1/nodes/n1/report", silly)?.code == .invalid)
            #expect(await post("/v1/leases", request(1, from: "n1", user: .root))?.code == .refused)
            #expect(await post("/v1/leases/zz/renew", LeaseRenewal(termSeconds: 1))?.code == .invalid)
            #expect(await post("/v1/leases/0123456789abcdef/renew", LeaseRenewal(termSeconds: 1))?.code == .notFound)
            for path in [
                "/v1/report?since=x", "/v1/report?since=1e300", "/v1/report?since=9&until=1", "/v1/leases?ended=2",
            ] {
                let error = await failure { try await n1.sendIgnoringReply(.get, daemons.base, path) }
                #expect(error?.code == .invalid, "\(path)")
            }
            let health = try await n1.send(.get, daemons.base, "/v1/health", reply: Health.self)
            #expect(health.version == Controller.version)
        }
    }

    @Test func aRequestWaitsForCapacity() async throws {
        try await withDaemons { daemons in
            let (n1, n2, base) = (daemons.daemon("n1"), daemons.daemon("n2"), daemons.base)
            let short = await failure {
                try await n2.send(.post, base, "/v1/leases", body: request(1, wait: 0.4), reply: LeaseGranted.self)
            }
            #expect(short?.code == .noCapacity)
            async let waiting = n2.send(
                .post, base, "/v1/leases", body: request(2, wait: 8), timeout: .seconds(10), reply: LeaseGranted.self)
            try await Task.sleep(for: .milliseconds(300))
            let came = ContinuousClock.now
            _ = try await n1.send(
                .post, base, "/v1/nodes/n1/report", body: report("n1", sequence: 1, offer: 1),
                reply: NodeInstructions.self)
            #expect(try await waiting.node == NodeName("n1"))
            #expect(ContinuousClock.now - came < .seconds(2))
            // Somebody who waits does not hold up the stop.
            async let forlorn = failure {
                try await n2.send(
                    .post, base, "/v1/leases", body: request(3, wait: 60), timeout: .seconds(20),
                    reply: LeaseGranted.self)
            }
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await daemons.stopController(SIGTERM) < .seconds(5))
            #expect(await forlorn?.code == .unavailable)
            #expect(!FileManager.default.fileExists(atPath: daemons.folder + "/state/fallowctld.url"))
        }
    }

    @Test func afterAKillSwitchesAndLeasesAreThereAgain() async throws {
        try await withDaemons { daemons in
            let (n1, n2) = (daemons.daemon("n1"), daemons.daemon("n2"))
            let first = try await n1.send(
                .post, daemons.base, "/v1/nodes/n1/report", body: report("n1", sequence: 1, offer: 4),
                reply: NodeInstructions.self)
            #expect(first.switches == LendingOverride())
            let change = SwitchChange(node: nil, unallocated: true, lent: true)
            _ = try await daemons.operatorClient.send(
                .put, daemons.base, "/v1/switches", body: change, reply: SwitchChange.self)
            let granted = try await n2.send(
                .post, daemons.base, "/v1/leases", body: request(1, cpus: 2), reply: LeaseGranted.self)
            _ = try await daemons.stopController(SIGKILL)
            try await daemons.startController()
            // The grant may still be obeyed: its cores stay reserved.
            let second = try await n1.send(
                .post, daemons.base, "/v1/nodes/n1/report", body: report("n1", sequence: 2, offer: 4),
                reply: NodeInstructions.self)
            #expect(second.switches == LendingOverride(unallocated: true, lent: true))
            #expect(second.controllerInstance != first.controllerInstance)
            var nodes = try await daemons.operatorClient.send(.get, daemons.base, "/v1/nodes", reply: [NodeView].self)
            #expect(nodes.first?.offer.cores == 2)
            func lease(_ id: LeaseID) -> LeaseReport {
                LeaseReport(
                    leaseID: id, user: nobody, cores: AbstractCoreSet(0...1), memory: .gibibytes(1), startedAt: .now,
                    termEnds: .now + .seconds(60), beneath: nil, usedCoreSeconds: 0, libraryName: "f.so")
            }
            // One of the ledger and one that it never heard of.
            let third = try await n1.send(
                .post, daemons.base, "/v1/nodes/n1/report",
                body: report("n1", sequence: 3, offer: 0, leases: [lease(granted.leaseID), lease(LeaseID(77))]),
                reply: NodeInstructions.self)
            #expect(third.end.isEmpty)
            let leases = try await daemons.operatorClient.send(
                .get, daemons.base, "/v1/leases", reply: [LeaseView].self)
            #expect(Set(leases.map(\.leaseID)) == [granted.leaseID, LeaseID(77)])
            #expect(leases.first { $0.leaseID == granted.leaseID }?.clientNode == NodeName("n2"))
            nodes = try await daemons.operatorClient.send(.get, daemons.base, "/v1/nodes", reply: [NodeView].self)
            #expect(nodes.first?.leasedCores == 4 && nodes.first?.offer.cores == 0)
        }
    }

    @Test func routesAndTheirDescriptionAgree() async throws {
        let folder = "/tmp/fallow-routes.\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let logger = Logger(label: "test")
        let ledger = Ledger(history: try History(path: folder + "/h.sqlite"), logger: logger)
        let service = ClusterService(
            policy: ClusterPolicy(limits: ClusterLimits()), switches: SwitchTable(), ledger: ledger, instance: 1,
            logger: logger)
        let munge = Munge(socket: nil)
        let router = ControlServer.makeRouter(SealMiddleware(munge: munge, trustedUsers: [.root]))
        let settings = Settings()
        let page = try WebPages(
            source: ClusterSource(service: service, ledger: ledger, settings: settings), settings: .init(settings))
        Routes(service: service, settings: settings, munge: munge, ledger: ledger, page: page).add(to: router)
        let file = URL(filePath: #filePath).appending(path: "../../../../docs/openapi.yaml").standardized
        let text = try String(contentsOf: file, encoding: .utf8)
        let document = try #require(try Yams.compose(yaml: text))
        var described = Set<String>()
        for (path, operations) in try #require(document["paths"]?.mapping) {
            for (method, _) in try #require(operations.mapping) {
                described.insert("\((method.string ?? "").uppercased()) \(path.string ?? "")")
            }
        }
        #expect(Routes.list(router) == described)
        #expect(described.count == 19)
    }
}
