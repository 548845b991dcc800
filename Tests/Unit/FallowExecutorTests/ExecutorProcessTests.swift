import FallowLocal
import FallowModel
import FallowTestSupport
import FallowTransport
import FallowWire
import Foundation
import TestProcesses
import Testing
import TransportShm

/// A real fallow-executor process; the test plays the agent and speaks the data plane's protocol itself.
@Suite(.serialized) struct ExecutorProcessTests {
    private let geometry = ArenaGeometry(slotCount: 4, inputBytes: 4096, outputBytes: 4096)

    /// Sends one raw message and gives the reply's header and result.
    private func exchange(
        _ endpoint: inout ShmEndpoint, sequence: UInt32, _ header: RequestHeader, _ payload: [UInt8] = []
    ) throws -> (ReplyHeader, [UInt8]) {
        let slot = Int(sequence) % endpoint.slotCount
        let memory = endpoint.outgoing(slot)
        header.write(to: memory)
        payload.withUnsafeBytes { (memory + 64).copyMemory(from: $0.baseAddress!, byteCount: payload.count) }
        try endpoint.send(sequence: sequence, byteCount: 64 + payload.count)
        let deadline = ContinuousClock.now + .seconds(5)
        while ContinuousClock.now < deadline {
            if let arrival = try endpoint.poll() {
                try #require(arrival.sequence == sequence)
                let reply = ReplyHeader(readingFrom: endpoint.incoming(slot))
                let count = min(Int(clamping: reply.resultBytes), endpoint.incomingCapacityBytes - 64)
                return (reply, [UInt8](UnsafeRawBufferPointer(start: endpoint.incoming(slot) + 64, count: count)))
            }
            _ = try endpoint.sleep(atMost: .milliseconds(10))
        }
        throw TransportError.timedOut
    }
    private func resolve(_ endpoint: inout ShmEndpoint, sequence: UInt32, _ name: String) throws -> UInt32? {
        let (reply, bytes) = try exchange(
            &endpoint, sequence: sequence,
            RequestHeader(
                invocationID: UInt64(sequence), function: InvocationLayout.resolveFunction,
                payloadBytes: UInt64(name.utf8.count), resultCapacityBytes: 4),
            Array(name.utf8))
        guard reply.status == InvocationStatus.returned.rawValue else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
    }

    @Test func functionsAreFoundByNameAndOnlyThoseOfTheLibrary() throws {
        let executor = try ExecutorUnderTest(library: TestLibrary.path("plain"), geometry: geometry)
        try #require(try executor.report()?.error == nil)
        var endpoint = try executor.arena.endpoint(worker: 0, side: .client)
        #expect(try resolve(&endpoint, sequence: 0, "echo") == 0)
        #expect(try resolve(&endpoint, sequence: 1, "reverse") == 1)
        #expect(try resolve(&endpoint, sequence: 2, "echo") == 0)
        for (index, name) in ["absent", "", "printf", "not_a_function", "fallow_library_abi", "echo\0"].enumerated() {
            #expect(try resolve(&endpoint, sequence: UInt32(3 + index), name) == nil, "\(name)")
        }
    }

    @Test func headersThatMakeNoSenseAreAnsweredAndHarmless() throws {
        let executor = try ExecutorUnderTest(library: TestLibrary.path("plain"), geometry: geometry)
        try #require(try executor.report()?.error == nil)
        var endpoint = try executor.arena.endpoint(worker: 0, side: .client)
        let echo = try #require(try resolve(&endpoint, sequence: 0, "echo"))
        var sequence: UInt32 = 1
        func status(_ function: UInt32, _ payload: UInt64, _ capacity: UInt64) throws -> UInt32 {
            defer { sequence += 1 }
            let header = RequestHeader(
                invocationID: 7_000_000_000 + UInt64(sequence), function: function, payloadBytes: payload,
                resultCapacityBytes: capacity)
            let (reply, _) = try exchange(&endpoint, sequence: sequence, header)
            #expect(reply.invocationID == header.invocationID && reply.resultBytes <= 4096)
            return reply.status
        }
        let malformed = InvocationStatus.malformed.rawValue
        #expect(try status(echo, 4097, 0) == malformed)
        #expect(try status(echo, .max, .max) == malformed)
        #expect(try status(echo, 1 << 63, 8) == malformed)
        #expect(try status(echo, 0, 4097) == malformed)
        #expect(try status(InvocationLayout.resolveFunction, 4, 0) == malformed)
        #expect(try status(InvocationLayout.resolveFunction, 4096, 4) == InvocationStatus.unknownFunction.rawValue)
        #expect(try status(1, 0, 0) == InvocationStatus.unknownFunction.rawValue)
        #expect(try status(0xffff_fffe, 0, 0) == InvocationStatus.unknownFunction.rawValue)
        #expect(try status(echo, 100, 99) == InvocationStatus.resultTooLarge.rawValue)
        #expect(try status(echo, 4096, 4096) == InvocationStatus.returned.rawValue)
    }

    /// At once; the fastest of three counts, since a busy machine may let anybody wait.
    @Test(arguments: ["nap", "loops"])
    func theEndOfTheControlSocketEndsTheProcess(function: String) throws {
        let fastest = try (0..<3).map { _ in try endByControlSocket(function) }.min()
        #expect(try #require(fastest) < .milliseconds(50))
    }

    /// How long an executor within a function lives when its control socket has ended.
    private func endByControlSocket(_ function: String) throws -> Duration {
        let executor = try ExecutorUnderTest(
            library: TestLibrary.path(function == "nap" ? "plain" : "crash"), geometry: geometry)
        try #require(try executor.report()?.error == nil)
        var endpoint = try executor.arena.endpoint(worker: 0, side: .client)
        let index = try #require(try resolve(&endpoint, sequence: 0, function))
        RequestHeader(invocationID: 1, function: index, payloadBytes: 4, resultCapacityBytes: 0)
            .write(to: endpoint.outgoing(1))
        (endpoint.outgoing(1) + 64).storeBytes(of: UInt32(60_000), as: UInt32.self)
        try endpoint.send(sequence: 1, byteCount: 68)
        usleep(100_000)
        try #require(executor.handle.checkExit() == nil)
        let started = ContinuousClock.now
        executor.control.close()
        #expect(executor.handle.wait(timeout: .seconds(2)) == .exited(code: 5))
        return ContinuousClock.now - started
    }

    @Test func aClientThatLeavesEndsTheProcess() throws {
        let executor = try ExecutorUnderTest(library: TestLibrary.path("plain"), geometry: geometry)
        try #require(try executor.report()?.error == nil)
        do {
            var endpoint = try executor.arena.endpoint(worker: 0, side: .client)
            _ = try resolve(&endpoint, sequence: 0, "echo")
        }
        #expect(executor.handle.wait(timeout: .seconds(2)) == .exited(code: 0))
    }

    @Test func aGibibyteOfOutputDisturbsNobody() throws {
        // A file that may hold 1 MiB, as the agent's limit on file sizes has it; beyond that printing fails.
        let sink = open("\(TestLibrary.folder)/printed", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(sink) }
        let executor = try ExecutorUnderTest(library: TestLibrary.path("crash"), geometry: geometry, output: sink)
        try #require(try executor.report()?.error == nil)
        var limit = rlimit(rlim_cur: 1 << 20, rlim_max: 1 << 20)
        typealias Prlimit =
            @convention(c) (Int32, Int32, UnsafePointer<rlimit>?, UnsafeMutablePointer<rlimit>?) -> Int32
        let prlimit = unsafeBitCast(try #require(dlsym(nil, "prlimit")), to: Prlimit.self)
        try #require(prlimit(executor.handle.pid, 1, &limit, nil) == 0)
        var endpoint = try executor.arena.endpoint(worker: 0, side: .client)
        let prints = try #require(try resolve(&endpoint, sequence: 0, "prints"))
        let (reply, _) = try exchange(
            &endpoint, sequence: 1,
            RequestHeader(invocationID: 1, function: prints, payloadBytes: 0, resultCapacityBytes: 0))
        #expect(reply.status == InvocationStatus.returned.rawValue)
        #expect(executor.handle.checkExit() == nil)
        #expect(lseek(sink, 0, SEEK_END) <= 1 << 20)
    }

    @Test func anRFaaSFunctionThatOverrunsEndsItsExecutor() throws {
        let executor = try ExecutorUnderTest(library: TestLibrary.path("rfaas"), geometry: geometry)
        try #require(try executor.report()?.error == nil)
        var endpoint = try executor.arena.endpoint(worker: 0, side: .client)
        let claims = try #require(try resolve(&endpoint, sequence: 0, "claims"))
        let header = RequestHeader(invocationID: 1, function: claims, payloadBytes: 4, resultCapacityBytes: 100)
        let fits = withUnsafeBytes(of: UInt32(200).littleEndian, Array.init)
        #expect(try exchange(&endpoint, sequence: 1, header, fits).0.status == InvocationStatus.resultTooLarge.rawValue)
        let overruns = withUnsafeBytes(of: UInt32(4097).littleEndian, Array.init)
        #expect(throws: TransportError.self) { try exchange(&endpoint, sequence: 2, header, overruns) }
        #expect(executor.handle.wait(timeout: .seconds(2)) == .exited(code: 3))
    }

    @Test(arguments: ["", "garbage", "{}", "[]", "{\"leaseID\":\"zz\"}"])
    func packetsThatAreNoAssignment(packet: String) throws {
        let executor = try ExecutorUnderTest(
            library: TestLibrary.path("plain"), geometry: geometry, packet: Array(packet.utf8))
        let report = try executor.report()
        #expect(packet.isEmpty || report?.error?.code == .invalid)
        // An empty packet reads as the socket's end.
        #expect(executor.handle.wait(timeout: .seconds(12)) == .exited(code: packet.isEmpty ? 2 : 1))
    }

    @Test("Whatever the library starts stays on the lease's CPUs")
    func pinnedAsAWhole() throws {
        let cpu = sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1
        let executor = try ExecutorUnderTest(
            library: TestLibrary.path("plain"), geometry: geometry, cpus: MachineCPUSet([cpu]))
        #expect(try executor.report()?.error == nil)
        let status = try String(contentsOfFile: "/proc/\(executor.handle.pid)/status", encoding: .utf8)
        #expect(status.contains("Cpus_allowed_list:\t\(cpu)\n"))
    }

    @Test func assignmentsThatCannotBe() throws {
        let noArena = try ExecutorUnderTest(library: TestLibrary.path("plain"), geometry: geometry, sendsArena: false)
        #expect(try noArena.report()?.error?.message.contains("2 descriptors") == true)
        let pinned = try ExecutorUnderTest(
            library: TestLibrary.path("plain"), workers: 2, geometry: geometry, cpus: MachineCPUSet([0]))
        #expect(try pinned.report()?.error?.code == .invalid)
        let nowhere = try ExecutorUnderTest(
            library: TestLibrary.path("plain"), geometry: geometry, cpus: MachineCPUSet([4095]))
        #expect(try nowhere.report()?.error?.message.contains("CPU 4095") == true)
        #expect(nowhere.handle.wait(timeout: .seconds(2)) == .exited(code: 1))
    }

    @Test func librariesThatCannotBe() throws {
        let object = "\(TestLibrary.folder)/object.o"
        let source = "\(TestLibrary.repository)/Tests/Functions/wrong_version.c"
        try #require(try ChildProcess.run(["cc", "-c", "-o", object, source]) == 0)
        let real = try Data(contentsOf: URL(fileURLWithPath: TestLibrary.path("plain")))
        var foreign = real
        foreign[18] = 183  // AArch64's number; this test's machine is x86-64
        var narrow = real
        narrow[4] = 1
        let files: [(String, Data, String)] = [
            ("empty", Data(), "is empty"), ("short", real.prefix(10), "not a shared library"),
            ("cut", real.prefix(200), "cannot be loaded"), ("foreign", foreign, "another processor"),
            ("narrow", narrow, "64-bit"), ("object", try Data(contentsOf: URL(fileURLWithPath: object)), "object file"),
            ("program", try Data(contentsOf: URL(fileURLWithPath: "/bin/true")), "cannot be loaded"),
        ]
        for (name, content, words) in files {
            let path = "\(TestLibrary.folder)/\(name).so"
            try content.write(to: URL(fileURLWithPath: path))
            let executor = try ExecutorUnderTest(library: path, geometry: geometry)
            let error = try executor.report()?.error
            #expect(error?.code == .libraryUnusable, "\(name)")
            #expect(error?.message.contains(words) == true, "\(name): \(error?.message ?? "no report")")
            #expect(error?.message.contains("/proc/self") == false)
        }
        let crashing = try ExecutorUnderTest(library: TestLibrary.path("constructor"), geometry: geometry)
        #expect(try crashing.report() == nil)
        #expect(crashing.handle.wait(timeout: .seconds(2)) == .signaled(number: SIGABRT))
    }

    @Test func theProgramAloneSaysWhoStartsIt() throws {
        let said = "\(TestLibrary.folder)/alone"
        #expect(try ChildProcess.run([ExecutorUnderTest.path], output: said) == 2)
        #expect(try String(contentsOfFile: said, encoding: .utf8).contains("fallowd starts this program"))
    }
}
