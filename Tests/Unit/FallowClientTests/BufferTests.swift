import CFallow
import FallowClient
import FallowTestSupport
import Foundation
import Testing
import libfallow

/// Calls through buffers, with a real executor: from Swift, from C, and over the network where they are copied.
@Suite(.serialized) struct BufferTests {
    private func withLease(
        fabric: Bool = false, bytes: Int = 8 << 20, _ body: (Lease, PlayedAgent) throws -> Void
    ) throws {
        let agent = try PlayedAgent(transport: fabric ? .fabric : .shm)
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = LeaseOptions()
        options.bufferBytes = bytes
        try body(try client.lease(library: TestLibrary.path("plain"), options), agent)
    }
    private func code(_ body: () throws -> Void) -> FallowError.Code? {
        do {
            try body()
            return nil
        } catch { return (error as? FallowError)?.code }
    }

    @Test(arguments: [false, true]) func functionsReadAndWriteThem(fabric: Bool) throws {
        try withLease(fabric: fabric) { lease, _ throws in
            let input = try lease.buffer(byteCount: 1 << 20)
            let output = try lease.buffer(byteCount: 1 << 20)
            for size in [0, 1, 64, 4097, 1 << 20] {
                for index in 0..<size { input.bytes[index] = UInt8(truncatingIfNeeded: index &* 7 &+ size) }
                let result = try lease.invoke("reverse", input, inputBytes: size, into: output, timeout: .seconds(10))
                #expect(result.byteCount == size)
                #expect(output.bytes.prefix(size).elementsEqual(input.bytes.prefix(size).reversed()), "\(size) bytes")
                #expect(output.isIntact)
            }
            // Several at once, and one buffer for both.
            let futures = try (0..<4).map { _ in
                try lease.submit("echo", input, inputBytes: 100_000, into: output)
            }
            try Future.waitAll(futures, timeout: .seconds(10))
            #expect(try futures[3].wait().output.elementsEqual(input.bytes.prefix(100_000)))
            #expect(try lease.invoke("echo", input, inputBytes: 9, into: input, timeout: .seconds(5)).byteCount == 9)
            #expect(try lease.invoke("noop", nil, inputBytes: 0, into: nil, timeout: .seconds(5)).byteCount == 0)
        }
    }

    @Test func whatIsWrongIsSaid() throws {
        try withLease(bytes: 1 << 20) { lease, agent throws in
            #expect(code { _ = try lease.buffer(byteCount: 0) } == .invalid)
            #expect(code { _ = try lease.buffer(byteCount: 2 << 20) } == .tooLarge)
            var small: Buffer? = try lease.buffer(byteCount: 100)
            let rest = try lease.buffer(byteCount: (1 << 20) - 4096)
            #expect(code { _ = try lease.buffer(byteCount: 1) } == .tooLarge, "all pages are given out")
            #expect(code { _ = try lease.invoke("echo", small, inputBytes: 101, into: rest) } == .invalid)
            let full = code { _ = try lease.invoke("echo", rest, inputBytes: 200, into: small, timeout: .seconds(5)) }
            #expect(full == .resultTooLarge)
            small = nil
            _ = try lease.buffer(byteCount: 4096)
            let client = try FallowClient.connect(socketPath: agent.socketPath)
            let other = try client.lease(library: TestLibrary.path("plain"))
            #expect(code { _ = try other.buffer(byteCount: 1) } == .tooLarge, "none was asked for")
            #expect(code { _ = try other.invoke("echo", rest, inputBytes: 4, into: nil) } == .tooLarge)
        }
    }

    @Test func aBufferInUseIsNotGivenOutAgain() throws {
        try withLease(bytes: 4096) { lease, _ throws in
            _ = try lease.invoke("nap", [0, 0, 0, 0], timeout: .seconds(5))
            var buffer: Buffer? = try lease.buffer(byteCount: 4096)
            buffer?.bytes.storeBytes(of: 300, as: UInt32.self)
            #expect(
                code { _ = try lease.invoke("nap", buffer, inputBytes: 4, into: buffer, timeout: .milliseconds(30)) }
                    == .timedOut)
            buffer = nil
            #expect(code { _ = try lease.buffer(byteCount: 1) } == .tooLarge, "the function may still write")
            // The late reply sets it free.
            _ = try lease.invoke("echo", [1], timeout: .seconds(5))
            #expect(try lease.buffer(byteCount: 4096).bytes.count == 4096)
        }
    }

    @Test func theyOutliveTheLeaseAndReadAsZeros() throws {
        try withLease { lease, agent throws in
            let buffer = try lease.buffer(byteCount: 100_000)
            for index in buffer.bytes.indices { buffer.bytes[index] = 7 }
            _ = try lease.invoke("nap", [0, 0, 0, 0], timeout: .seconds(5))
            buffer.bytes.storeBytes(of: 20_000, as: UInt32.self)
            let future = try lease.submit("nap", buffer, inputBytes: 4, into: buffer)
            #expect(buffer.isIntact)
            agent.revoke(.reclaimed)
            #expect(code { _ = try future.result(timeout: .seconds(5)) } == .outcomeUnknown)
            #expect(!buffer.isIntact)
            #expect(buffer.bytes.allSatisfy { $0 == 0 })
            buffer.bytes[99_999] = 1
            let after = code { _ = try lease.invoke("echo", buffer, inputBytes: 4, into: buffer, timeout: .seconds(1)) }
            #expect(after == .leaseEnded)
            #expect(code { _ = try lease.buffer(byteCount: 1) } == .leaseEnded)
        }
    }

    @Test func fromC() throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        var client: OpaquePointer?
        var lease: OpaquePointer?
        var other: OpaquePointer?
        try #require(fallow_connect(agent.socketPath, &client) == 0)
        defer { fallow_close(client) }
        var options = fallow_lease_options()
        options.size = UInt32(MemoryLayout<fallow_lease_options>.stride)
        options.buffers = 1 << 20
        try #require(fallow_lease_open(client, TestLibrary.path("plain"), &options, &lease) == 0)
        try #require(fallow_lease_open(client, TestLibrary.path("plain"), &options, &other) == 0)
        var buffer: UnsafeMutableRawPointer?
        var foreign: UnsafeMutableRawPointer?
        try #require(fallow_buffer_alloc(lease, 8192, &buffer) == 0)
        try #require(fallow_buffer_alloc(other, 8192, &foreign) == 0)
        let memory = try #require(buffer)
        for index in 0..<100 { memory.storeBytes(of: UInt8(index), toByteOffset: index, as: UInt8.self) }
        var size = 100
        #expect(
            fallow_invoke_buffers(lease, "reverse", memory, 100, memory + 4096, &size, nil, 5) == 0 && size == 100)
        #expect(memory.load(fromByteOffset: 4096, as: UInt8.self) == 99)
        var future: OpaquePointer?
        #expect(fallow_submit_buffers(lease, "reverse", memory + 50, 50, memory + 4096, 4096, &future) == 0)
        #expect(fallow_wait(future, &size, nil, 5) == 0 && size == 50)
        fallow_future_free(future)

        let invalid = Int32(FALLOW_INVALID.rawValue)
        var none: UnsafeMutableRawPointer?
        var own: [UInt8] = [1, 2, 3, 4]
        size = 4
        #expect(fallow_invoke_buffers(lease, "echo", &own, 4, memory, &size, nil, 5) == invalid)
        #expect(fallow_invoke_buffers(lease, "echo", foreign, 4, memory, &size, nil, 5) == invalid)
        #expect(fallow_invoke_buffers(lease, "echo", memory, 8193, memory, &size, nil, 5) == invalid)
        #expect(fallow_buffer_alloc(lease, 8192, nil) == invalid && fallow_buffer_alloc(nil, 8192, &none) == invalid)
        #expect(fallow_buffer_alloc(lease, 2 << 20, &none) == Int32(FALLOW_TOO_LARGE.rawValue))
        #expect(fallow_buffer_free(memory + 1) == invalid && fallow_buffer_free(&own) == invalid)
        #expect(fallow_buffer_check(memory) == 0 && fallow_buffer_check(&own) == invalid)
        fallow_lease_close(lease)
        #expect(memory.load(as: UInt8.self) <= 100, "still mapped")
        #expect(fallow_buffer_free(memory) == 0)
        #expect(fallow_buffer_free(memory) == invalid, "freed twice")
        fallow_lease_close(other)
        #expect(fallow_buffer_free(foreign) == 0 && fallow_buffer_free(nil) == 0)
    }
}
