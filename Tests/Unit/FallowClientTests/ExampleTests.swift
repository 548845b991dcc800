import FallowClient
import FallowTestSupport
import Foundation
import TestProcesses
import Testing

/// The examples, built as their Makefile says, on real input.
@Suite(.serialized) struct ExampleTests {
    private static let built: String = {
        let folder = "\(TestLibrary.folder)/examples"
        try! FileManager.default.copyItem(atPath: "\(TestLibrary.repository)/examples", toPath: folder)
        let include = "INCLUDE=-I\(TestLibrary.repository)/Sources/CFallow/include"
        precondition(run("/usr/bin/make", ["-s", "-C", folder, "clean"]) == 0)
        precondition(run("/usr/bin/make", ["-s", "-C", folder, include, "functions", "tools"]) == 0)
        return folder
    }()

    private static func run(_ program: String, _ arguments: [String], output: String? = nil) -> Int32 {
        (try? ChildProcess.run([program] + arguments, output: output, withErrors: false)) ?? -1
    }

    private func withLease(_ library: String, largest: Int, _ body: (Lease) throws -> Void) throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = LeaseOptions()
        options.slotCount = 1
        options.inputBytes = largest
        options.outputBytes = largest
        try body(try client.lease(library: "\(Self.built)/functions/\(library).so", options))
    }

    @Test(arguments: [["1000", "5", "42", "7"], ["100000", "5", "42", "0"]])
    func graphFunctionsGiveTheKnownAnswers(parameters: [String]) throws {
        let graph = "\(Self.built)/graph.bin"
        let result = "\(Self.built)/result.bin"
        let known = "\(Self.built)/graph/graph-\(parameters.joined(separator: "-")).known"
        try #require(Self.run("\(Self.built)/graph/generate", parameters, output: graph) == 0)
        let input = [UInt8](try Data(contentsOf: URL(fileURLWithPath: graph)))
        try withLease("graph", largest: 4 << 20) { lease throws in
            for function in ["pagerank", "bfs"] {
                var reply = try lease.invoke(function, input, timeout: .seconds(60))
                #expect(reply.returnValue == 0)
                try Data(reply.output).write(to: URL(fileURLWithPath: result))
                #expect(Self.run("\(Self.built)/graph/check", [function, result, known]) == 0)
                // The checker is no rubber stamp.
                reply.output[7] ^= 0x40
                reply.output[3] ^= 0x40
                try Data(reply.output).write(to: URL(fileURLWithPath: result))
                #expect(Self.run("\(Self.built)/graph/check", [function, result, known]) != 0)
            }
            #expect(try lease.invoke("pagerank", Array(input.dropLast(3)), timeout: .seconds(60)).returnValue == -1)
            #expect(try lease.invoke("bfs", [], timeout: .seconds(60)).returnValue == -1)
        }
    }

    @Test func realFilesAreCompressedAndComeBack() throws {
        let files = ["/usr/share/common-licenses/GPL-3", "/usr/share/dict/words", "/etc/services", "/bin/true"]
            .filter { FileManager.default.isReadableFile(atPath: $0) }
        try #require(files.count >= 2)
        try withLease("compress", largest: 4 << 20) { lease throws in
            for file in files {
                let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
                let packed = try lease.invoke("compress_bytes", original, timeout: .seconds(30))
                #expect(packed.returnValue == 0 && packed.output.count < original.count)
                let unpacked = try lease.invoke("decompress_bytes", packed.output, timeout: .seconds(30))
                #expect(unpacked.returnValue == 0 && unpacked.output == original)
                let broken = Array(packed.output.prefix(packed.output.count / 2))
                #expect(try lease.invoke("decompress_bytes", broken, timeout: .seconds(30)).returnValue != 0)
            }
        }
    }

    @Test func smallFunctions() throws {
        try withLease("text", largest: 4096) { lease throws in
            #expect(
                try lease.invoke("reverse", Array("fallow".utf8), timeout: .seconds(5)).output == Array("wollaf".utf8))
            #expect(try lease.invoke("noop", [], timeout: .seconds(5)).output.isEmpty)
        }
        try withLease("rfaas", largest: 4096) { lease throws in
            let numbers: [UInt32] = [1, 2, 4_000_000_000]
            let sum = try lease.invoke("add", numbers.withUnsafeBytes(Array.init), timeout: .seconds(5)).output
            #expect(sum == withUnsafeBytes(of: UInt64(4_000_000_003), Array.init))
        }
    }

    /// Next to the test program, when the library was built (`swift build --product fallow-c`).
    private static let sharedLibrary: String? = {
        let path = URL(fileURLWithPath: ExecutorUnderTest.path).deletingLastPathComponent().path + "/libfallow-c.so"
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    @Test(.enabled(if: sharedLibrary != nil, "libfallow is not built")) func theClientsInCAndCPlusPlusRun() throws {
        let folder = "\(TestLibrary.folder)/lib"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["libfallow.so", "libfallow.so.0"] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/\(name)", withDestinationPath: try #require(Self.sharedLibrary))
        }
        let built = Self.built
        let include = "INCLUDE=-I\(TestLibrary.repository)/Sources/CFallow/include"
        try #require(Self.run("/usr/bin/make", ["-s", "-C", built, "FALLOW=\(folder)", include, "clients"]) == 0)
        let agent = try PlayedAgent()
        defer { agent.stop() }
        setenv("FALLOW_CLIENT_SOCKET", agent.socketPath, 1)
        defer { unsetenv("FALLOW_CLIENT_SOCKET") }
        let output = "\(TestLibrary.folder)/client.out"
        #expect(Self.run("\(built)/clients/client", ["\(built)/functions/text.so"], output: output) == 0)
        #expect(try String(contentsOfFile: output, encoding: .utf8).contains("reverse(fallow) = wollaf"))
        let files = ["/etc/services", "/bin/true", "/etc/passwd", "/bin/ls", "/bin/cat"]
        #expect(Self.run("\(built)/clients/client++", ["\(built)/functions/compress.so"] + files, output: output) == 0)
        let said = try String(contentsOfFile: output, encoding: .utf8)
        for file in files { #expect(said.contains("\(file): ")) }
        #expect(Self.run("\(built)/clients/client", ["/nonexistent.so"]) == 1)
    }
}
