import FallowClient
import FallowModel
import FallowTestSupport
import FallowWire
import Foundation
import Testing

/// A client against agents that say what they should not.
@Suite struct AgentProtocolTests {
    private func failure(of script: @escaping PlayedAgent.Script) throws -> FallowError? {
        let agent = try PlayedAgent(script: script)
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        do {
            _ = try client.lease(library: TestLibrary.path("plain"))
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        "garbage\n", "{}\n", "[1,2]\n", "{\"id\":1}\n", "{\"id\":-1,\"kind\":\"leased\"}\n", "\n", "\u{0}\u{1}\n",
    ])
    func garbageEndsTheConversation(line: String) throws {
        let error = try failure { session, _, _ in
            session.send(raw: line)
            return true
        }
        #expect(error?.code == .internalError, "\(error?.message ?? "was believed")")
    }

    @Test func halfALineAndAClosedConnection() throws {
        let half = try failure { session, _, _ in
            session.send(raw: "{\"id\":1,\"ki")
            session.close()
            return true
        }
        #expect(half?.code == .noAgent)
        let closed = try failure { session, _, _ in
            session.close()
            return true
        }
        #expect(closed?.code == .noAgent)
    }

    @Test func aRefusalAndACloseIsARefusal() throws {
        let error = try failure { session, request, _ in
            session.send(LocalReply(id: request.id, kind: .error, error: WireError(.noCapacity, "nothing to lend")))
            session.close()
            return true
        }
        #expect(error?.code == .noCapacity && error?.message == "nothing to lend")
    }

    @Test func answersWithoutTheirContents() throws {
        for kind in [LocalReply.Kind.leased, .renewed, .released, .status] {
            let error = try failure { session, request, _ in
                session.send(LocalReply(id: request.id, kind: kind))
                return true
            }
            #expect(error?.code == .internalError, "\(kind)")
        }
    }

    @Test(arguments: [
        (0, 16, 1 << 20), (-5, 16, 1 << 20), (1 << 40, 16, 1 << 20), (1, 3, 1 << 20), (1, 1 << 40, 1), (1, 16, 1 << 50),
        (1, 16, -9), (1, 16, 1),
    ])
    func absurdNumbersAreNotBelieved(workers: Int, slots: Int, bytes: Int) throws {
        let error = try failure { session, request, _ in
            let lease = LeaseOpened(
                leaseID: LeaseID(7), node: NodeName("n"), workers: workers, memory: .zero,
                termEnds: Timestamp(nanosecondsSinceEpoch: .max), transport: .shm, address: nil, secret: "",
                slotCount: slots, inputBytes: bytes, outputBytes: bytes)
            // A descriptor that is no arena.
            session.send(LocalReply(id: request.id, kind: .leased, lease: lease), descriptors: [0])
            return true
        }
        #expect(error?.code == .internalError, "\(error?.message ?? "was believed")")
    }

    @Test func aDescriptorThatIsNoArena() throws {
        let error = try failure { session, request, _ in
            let lease = LeaseOpened(
                leaseID: LeaseID(7), node: NodeName("n"), workers: 1, memory: .zero,
                termEnds: Timestamp(nanosecondsSinceEpoch: .max), transport: .shm, address: nil, secret: "",
                slotCount: 16, inputBytes: 1 << 20, outputBytes: 1 << 20)
            session.send(LocalReply(id: request.id, kind: .leased, lease: lease), descriptors: [0])
            return true
        }
        #expect(error?.code == .internalError)
        #expect(error?.message.contains("shared memory") == true)
    }

    @Test func aLeaseThatMakesNoSenseIsGivenBack() throws {
        let agent = try PlayedAgent { session, request, _ in
            guard request.kind == .lease else { return false }
            let lease = LeaseOpened(
                leaseID: LeaseID(7), node: NodeName("n"), workers: 0, memory: .zero,
                termEnds: Timestamp(nanosecondsSinceEpoch: 0), transport: .fabric, address: nil, secret: "xyz",
                slotCount: 16, inputBytes: 1 << 20, outputBytes: 1 << 20)
            session.send(LocalReply(id: request.id, kind: .leased, lease: lease))
            return true
        }
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        #expect(throws: FallowError.self) { try client.lease(library: TestLibrary.path("plain")) }
        for _ in 0..<200 where agent.seen.last?.kind != .release { usleep(5000) }
        #expect(agent.seen.last?.kind == .release && agent.seen.last?.leaseID == LeaseID(7))
    }

    @Test func eventsForStrangersAndUnaskedAnswersAreIgnored() throws {
        let agent = try PlayedAgent { session, request, _ in
            session.send(LocalReply(kind: .ended, leaseID: LeaseID(99), reason: .reclaimed))
            session.send(LocalReply(id: 4711, kind: .released))
            return false
        }
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        #expect(try client.status().node == NodeName("test"))
        let lease = try client.lease(library: TestLibrary.path("plain"))
        #expect(try lease.invoke("echo", [5], timeout: .seconds(5)).output == [5])
    }

    @Test func nobodyThere() {
        do {
            _ = try FallowClient.connect(socketPath: "/nonexistent/client.sock")
            Issue.record("somebody answered")
        } catch { #expect(error.code == .noAgent) }
        do {
            _ = try FallowClient.connect(socketPath: String(repeating: "x", count: 300))
            Issue.record("somebody answered")
        } catch { #expect(error.code == .invalid) }
    }

    @Test func anAgentThatDiesEndsItsLeases() throws {
        let agent = try PlayedAgent()
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        let lease = try client.lease(library: TestLibrary.path("plain"))
        _ = try lease.invoke("echo", [1], timeout: .seconds(5))
        agent.stop()
        usleep(50_000)
        do {
            _ = try lease.invoke("echo", [1], timeout: .seconds(5))
            Issue.record("a lease outlived its agent")
        } catch { #expect(error.code == .leaseEnded) }
        #expect(lease.end == .agentGone)
    }
}
