import FallowClient
import FallowTestSupport
import Foundation
import Testing

/// The same client and executor over libfabric's tcp on the loopback, as between two nodes.
@Suite(.serialized) struct FabricLeaseTests {
    private func withLease(_ library: String, _ body: (Lease, PlayedAgent) throws -> Void) throws {
        let agent = try PlayedAgent(transport: .fabric)
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = LeaseOptions()
        options.cpus = 2
        options.slotCount = 4
        options.inputBytes = 8 << 20
        options.outputBytes = 8 << 20
        options.memory = .gibibytes(1)
        try body(try client.lease(library: TestLibrary.path(library), options), agent)
    }

    @Test func payloadsComeBackByteForByte() throws {
        try withLease("plain") { lease, _ throws in
            #expect(lease.transport == .fabric)
            for size in [0, 1, 64, 4096, 65_537, 1 << 20, 8 << 20] {
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
                let reply = try lease.invoke("reverse", payload, timeout: .seconds(30))
                #expect(reply.output == payload.reversed(), "\(size) bytes")
            }
            for value in UInt32(0)..<5000 {
                let bytes = withUnsafeBytes(of: value, Array.init)
                if try lease.invoke("echo", bytes, timeout: .seconds(10)).output != bytes {
                    Issue.record("call \(value) came back wrong")
                    return
                }
            }
        }
    }

    @Test func aKilledExecutorIsHeardOf() throws {
        try withLease("plain") { lease, agent throws in
            let milliseconds = withUnsafeBytes(of: UInt32(0), Array.init)
            _ = try lease.invoke("nap", milliseconds, timeout: .seconds(5))
            let future = try lease.submit("nap", withUnsafeBytes(of: UInt32(20_000), Array.init))
            let moment = ContinuousClock.now
            for pid in agent.executorPIDs { kill(pid, SIGKILL) }
            #expect(throws: FallowError.self) { try future.wait(timeout: .seconds(5)) }
            #expect(ContinuousClock.now - moment < .milliseconds(500))
        }
    }
}
