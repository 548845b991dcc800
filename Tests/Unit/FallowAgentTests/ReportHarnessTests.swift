import CFallowReport
import FallowLocal
import Foundation
import Logging
import Testing

@testable import FallowAgent

/// report.sock, with this process in the plugin's place.
@Suite(.serialized, .enabled(if: geteuid() == 0, "the plugin is root's")) struct ReportHarnessTests {
    @Test func aRecordIsAnsweredWheneverItComes() throws {
        try withHarness { path in
            for pause in [0, 100_000, 0] as [UInt32] {
                let plugin = try connect(path)
                usleep(pause)
                #expect(try plugin.send(packet(job: 5, cores: "0-1")) != nil)
                let answer = try #require(try answer(plugin))
                #expect(answer.status == UInt16(FALLOW_REPLY_OK.rawValue))
                #expect(try self.answer(plugin) == nil, "once")
            }
        }
    }

    @Test func whoSaysNothingOrNonsenseIsNotWaitedFor() throws {
        try withHarness { path in
            let silent = try (0..<20).map { _ in try connect(path) }
            for _ in 0..<20 { try connect(path).close() }
            let tooLong = try connect(path)
            #expect(try tooLong.send([UInt8](repeating: 1, count: 5000)) != nil)
            #expect(try answer(tooLong) == nil)
            let garbled = try connect(path)
            #expect(try garbled.send([1, 2, 3]) != nil)
            #expect(try answer(garbled)?.status == UInt16(FALLOW_REPLY_INVALID.rawValue))
            let leaver = try connect(path)
            #expect(try leaver.send(packet(job: 6, cores: "2")) != nil)
            leaver.close()
            let plugin = try connect(path)
            #expect(try plugin.send(packet(job: 5, cores: "0-1")) != nil)
            #expect(try answer(plugin)?.status == UInt16(FALLOW_REPLY_OK.rawValue))
            for one in silent { #expect(try answer(one) == nil, "after two seconds") }
        }
    }

    private func withHarness(_ body: (String) throws -> Void) throws {
        let node = try ShellUnderTest()
        let path = FileManager.default.temporaryDirectory.path + "/report-\(UInt32.random(in: 0 ... .max)).sock"
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        nonisolated(unsafe) let harness = node.on { shell in
            try? ReportHarness(
                path: path, shell: shell, plugin: PluginWatch(door: LoopDoor(node.loop, shell), log: log))
        }
        defer {
            node.on { _ in harness?.close() }
            try? node.end()
        }
        try #require(harness != nil)
        try body(path)
    }

    private func connect(_ path: String) throws -> LocalConnection {
        try LocalConnection.connect(path: path, type: .seqpacket, timeout: .seconds(5))
    }

    /// nil: the connection ended without one.
    private func answer(_ plugin: LocalConnection) throws -> fallow_report_reply? {
        var reply = fallow_report_reply()
        try #require(plugin.waitReadable(timeout: .seconds(10)), "no answer")
        let count = try withUnsafeMutableBytes(of: &reply) { try plugin.receive(into: $0)?.count }
        return count == MemoryLayout<fallow_report_reply>.size ? reply : nil
    }
}
