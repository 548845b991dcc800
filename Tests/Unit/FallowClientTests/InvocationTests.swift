import FallowClient
import FallowTestSupport
import Foundation
import Testing

@Suite(.serialized) struct InvocationTests {
    @Test func echoComesBack() throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        let lease = try client.lease(library: TestLibrary.path("plain"))
        let reply = try lease.invoke("echo", [1, 2, 3], timeout: .seconds(5))
        #expect(reply.output == [1, 2, 3])
        try lease.release()
    }
}
