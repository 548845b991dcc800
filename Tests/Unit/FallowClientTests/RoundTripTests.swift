import FallowClient
import FallowTestSupport
import Foundation
import Testing

/// Prints round trips when FALLOW_MEASURE is set; what is asserted holds on any machine.
@Suite(.serialized) struct RoundTripTests {
    @Test(arguments: [(64, 0), (64, 2000), (4096, 0), (1 << 20, 0)])
    func roundTrips(bytes: Int, pauseMicroseconds: UInt32) throws {
        let count = bytes > 100_000 || pauseMicroseconds > 0 ? 200 : 20_000
        let agent = try PlayedAgent()
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        let lease = try client.lease(library: TestLibrary.path("plain"))
        let input = [UInt8](repeating: 3, count: bytes)
        var output = [UInt8](repeating: 0, count: bytes)
        var spans: [Double] = []
        try Array("echo".utf8).withUnsafeBytes { name in
            try input.withUnsafeBytes { input in
                try output.withUnsafeMutableBytes { output in
                    for _ in 0..<count {
                        if pauseMicroseconds > 0 { usleep(pauseMicroseconds) }
                        let start = ContinuousClock.now
                        let result = try lease.invoke(name, input, into: output, timeout: .seconds(5))
                        spans.append((ContinuousClock.now - start) / .microseconds(1))
                        if result.byteCount != bytes { Issue.record("\(result.byteCount) bytes came back") }
                    }
                }
            }
        }
        #expect(output == input)
        spans.sort()
        let p50 = spans[count / 2]
        #expect(p50 < 5000)
        if getenv("FALLOW_MEASURE") != nil {
            print(
                "shm \(bytes) B, \(pauseMicroseconds == 0 ? "hot" : "warm"): p50 \(p50) µs, p99 \(spans[count * 99 / 100]) µs"
            )
        }
    }
}
