import CFallow
import FallowTestSupport
import Foundation
import Testing
import libfallow

/// fallow.h as a C program uses it, through a real executor.
@Suite(.serialized) struct CInterfaceTests {
    private var sentence: String { String(cString: fallow_message()) }

    @Test func aWholeConversation() throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        var client: OpaquePointer?
        var lease: OpaquePointer?
        try #require(fallow_connect(agent.socketPath, &client) == 0)
        defer { fallow_close(client) }
        var options = fallow_lease_options()
        options.size = UInt32(MemoryLayout<fallow_lease_options>.stride)
        options.cpus = 2
        options.max_input = 4096
        try #require(fallow_lease_open(client, TestLibrary.path("plain"), &options, &lease) == 0, "\(sentence)")
        defer { fallow_lease_close(lease) }

        var info = fallow_lease_info()
        info.size = UInt32(MemoryLayout<fallow_lease_info>.stride)
        #expect(fallow_lease_describe(lease, &info) == 0)
        #expect(info.cpus == 2 && info.max_input == 4096 && info.max_output == 1 << 20 && info.seconds_left > 500)
        #expect(
            withUnsafeBytes(of: &info.transport) { String(cString: $0.bindMemory(to: CChar.self).baseAddress!) }
                == "shm")
        #expect(fallow_lease_renew(lease, 5000) == 0)

        var output = [UInt8](repeating: 0, count: 16)
        var size = output.count
        var value: Int32 = 99
        #expect(fallow_invoke(lease, "reverse", [1, 2, 3] as [UInt8], 3, &output, &size, &value, 5) == 0)
        #expect(size == 3 && value == 0 && output.prefix(3) == [3, 2, 1])
        size = 2
        #expect(
            fallow_invoke(lease, "echo", [1, 2, 3] as [UInt8], 3, &output, &size, nil, 5)
                == FALLOW_RESULT_TOO_LARGE.code)
        #expect(size == 3)
        #expect(fallow_invoke(lease, "absent", nil, 0, nil, nil, nil, 5) == FALLOW_UNKNOWN_FUNCTION.code)
        #expect(sentence.contains("absent"))
        #expect(fallow_invoke(lease, "noop", nil, 0, nil, nil, nil, 0) == 0)

        var futures: [OpaquePointer?] = [nil, nil]
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
        defer { memory.deallocate() }
        for index in 0..<2 {
            var milliseconds = UInt32(index == 0 ? 300 : 1)
            #expect(fallow_submit(lease, "nap", &milliseconds, 4, memory + index * 32, 32, &futures[index]) == 0)
        }
        var first = 9
        #expect(fallow_wait(futures[0], nil, nil, 0) == FALLOW_TIMED_OUT.code)
        #expect(fallow_wait_any(futures, 2, &first, 5) == 0 && first == 1)
        #expect(fallow_wait_all(futures, 2, -1) == 0)
        #expect(fallow_wait(futures[0], &size, &value, 0) == 0 && size == 4)
        #expect(memory.load(as: UInt32.self) == 300)
        for future in futures { fallow_future_free(future) }
    }

    @Test func badArgumentsAreSaidAndHarmless() throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        let invalid = FALLOW_INVALID.code
        var client: OpaquePointer?
        var lease: OpaquePointer?
        var future: OpaquePointer?
        var size = 0
        #expect(fallow_connect(nil, nil) == invalid)
        try #require(fallow_connect(agent.socketPath, &client) == 0)
        defer { fallow_close(client) }
        #expect(fallow_lease_open(nil, "x", nil, &lease) == invalid)
        #expect(fallow_lease_open(client, nil, nil, &lease) == invalid)
        #expect(fallow_lease_open(client, "x", nil, nil) == invalid)
        var options = fallow_lease_options()
        #expect(fallow_lease_open(client, "x", &options, &lease) == invalid)
        #expect(sentence.contains("FALLOW_LEASE_OPTIONS"))
        options.size = UInt32(MemoryLayout<fallow_lease_options>.stride)
        options.flags = 0x80
        #expect(fallow_lease_open(client, "x", &options, &lease) == invalid)
        options.flags = 0
        options.wait_seconds = .nan
        #expect(fallow_lease_open(client, "x", &options, &lease) == invalid)
        options.wait_seconds = 0
        options.max_input = .max
        #expect(fallow_lease_open(client, "x", &options, &lease) == invalid)
        options.max_input = 0
        options.poll_seconds = 1.5
        #expect(fallow_lease_open(client, TestLibrary.path("plain"), &options, &lease) == invalid)
        #expect(sentence.contains("polls 0 s to a second"))
        #expect(fallow_lease_open(client, "/nonexistent.so", nil, &lease) == FALLOW_LIBRARY_UNUSABLE.code)
        #expect(lease == nil)
        try #require(fallow_lease_open(client, TestLibrary.path("plain"), nil, &lease) == 0, "\(sentence)")
        defer { fallow_lease_close(lease) }
        #expect(fallow_invoke(nil, "noop", nil, 0, nil, nil, nil, 1) == invalid)
        #expect(fallow_invoke(lease, nil, nil, 0, nil, nil, nil, 1) == invalid)
        #expect(fallow_invoke(lease, "noop", nil, 5, nil, nil, nil, 1) == invalid)
        size = 5
        #expect(fallow_invoke(lease, "noop", nil, 0, nil, &size, nil, 1) == invalid)
        #expect(fallow_invoke(lease, "noop", nil, 0, nil, nil, nil, .nan) == invalid)
        #expect(fallow_submit(lease, "noop", nil, 0, nil, 0, nil) == invalid)
        #expect(fallow_submit(nil, "noop", nil, 0, nil, 0, &future) == invalid)
        #expect(fallow_wait(nil, nil, nil, 1) == invalid)
        #expect(fallow_wait_any(nil, 3, &size, 1) == invalid)
        #expect(fallow_lease_describe(lease, nil) == invalid)
        var info = fallow_lease_info()
        #expect(fallow_lease_describe(lease, &info) == invalid)
        fallow_close(nil)
        fallow_lease_close(nil)
        fallow_future_free(nil)
        #expect(String(cString: fallow_code_name(12)) == "FALLOW_OUTCOME_UNKNOWN")
        #expect(String(cString: fallow_code_name(-1)) == String(cString: fallow_code_name(16)))
    }

    @Test func aForkedChildIsTurnedAway() throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        var client: OpaquePointer?
        var lease: OpaquePointer?
        try #require(fallow_connect(agent.socketPath, &client) == 0)
        defer { fallow_close(client) }
        try #require(fallow_lease_open(client, TestLibrary.path("plain"), nil, &lease) == 0)
        defer { fallow_lease_close(lease) }
        // fork() is hidden from Swift, as it should be.
        typealias Fork = @convention(c) () -> Int32
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
        let child = fork()
        if child == 0 { _exit(fallow_invoke(lease, "noop", nil, 0, nil, nil, nil, 1)) }
        var status: Int32 = 0
        waitpid(child, &status, 0)
        #expect(status >> 8 & 0xff == FALLOW_INVALID.code)
        #expect(fallow_invoke(lease, "noop", nil, 0, nil, nil, nil, 5) == 0, "the parent is none the worse")
    }
}

extension fallow_code {
    fileprivate var code: Int32 { Int32(bitPattern: rawValue) }
}
