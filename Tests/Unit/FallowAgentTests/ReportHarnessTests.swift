import CFallowReport
import FallowLocal
import Foundation
import Logging
import Testing

@testable import FallowAgent

/// report.sock, with this process in the plugin's place.
@Suite(.serialized, .enabled(if: geteuid() == 0, "the plugin is root's")) struct ReportHarnessTests {
    @Test func eachRecordIsAnsweredOnce() throws {
        try withHarness { path in
            for _ in 0..<3 {
                let plugin = try send(packet(job: 5, cores: "0-1"), to: path)
                let answer = try #require(try answer(plugin))
                #expect(answer.status == UInt16(FALLOW_REPLY_OK.rawValue))
                #expect(try self.answer(plugin) == nil, "once")
            }
            // Many at once, and they are taken in their order.
            let many = try (0..<100).map { _ in try send(packet(job: 5, cores: "0-1"), to: path) }
            for plugin in many { #expect(try answer(plugin)?.status == UInt16(FALLOW_REPLY_OK.rawValue)) }
        }
    }

    @Test func nonsenseAndThoseWhoWaitForNothingKeepNobodyWaiting() throws {
        try withHarness { path in
            let tooLong = try send([UInt8](repeating: 1, count: 5000), to: path)
            #expect(try answer(tooLong) == nil)
            #expect(try answer(send([1, 2, 3], to: path))?.status == UInt16(FALLOW_REPLY_INVALID.rawValue))
            let ends = try (0..<5).map { _ in try LocalConnection.pair(type: .seqpacket) }
            let crowd = try connect(path)
            try put(packet(job: 6, cores: "2"), ends.map(\.1.descriptor), on: crowd)
            for end in ends { end.1.close() }
            #expect(try answer(ends[0].0)?.status == UInt16(FALLOW_REPLY_OK.rawValue))
            for end in ends.dropFirst() { #expect(try answer(end.0) == nil, "only the first is answered") }
            try send(packet(job: 6, cores: "2"), to: path).close()
            for _ in 0..<20 { try put(packet(job: 6, cores: "2"), [], on: connect(path)) }
            // A descriptor that no answer can be written to.
            try put(packet(job: 6, cores: "2"), [0], on: connect(path))
            #expect(
                try answer(send(packet(job: 5, cores: "0-1"), to: path))?.status == UInt16(FALLOW_REPLY_OK.rawValue))
        }
    }

    @Test func onlyRootIsHeard() throws {
        try withHarness { path in
            #expect(chmod(path, 0o666) == 0)
            let (ours, theirs) = try LocalConnection.pair(type: .seqpacket)
            let stranger = try connect(path)
            #expect(setreuid(65534, 0) == 0)
            let sent = try stranger.send(packet(job: 5, cores: "0-1"), descriptors: [theirs.descriptor])
            #expect(setreuid(0, 0) == 0)
            theirs.close()
            #expect(sent != nil)
            #expect(try answer(ours) == nil)
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
        try LocalConnection.connect(path: path, type: .datagram, timeout: .seconds(5))
    }

    /// - Returns: the end on which the answer comes.
    private func send(_ packet: [UInt8], to path: String) throws -> LocalConnection {
        let (ours, theirs) = try LocalConnection.pair(type: .seqpacket)
        defer { theirs.close() }
        let plugin = try connect(path)
        try put(packet, [theirs.descriptor], on: plugin)
        return ours
    }

    /// Waits while the mailbox is full.
    private func put(_ packet: [UInt8], _ descriptors: [Int32], on plugin: LocalConnection) throws {
        while try plugin.send(packet, descriptors: descriptors) == nil { usleep(1000) }
    }

    /// nil: the connection ended without one.
    private func answer(_ plugin: LocalConnection) throws -> fallow_report_reply? {
        var reply = fallow_report_reply()
        try #require(plugin.waitReadable(timeout: .seconds(10)), "no answer")
        let count = try withUnsafeMutableBytes(of: &reply) { try plugin.receive(into: $0)?.count }
        return count == MemoryLayout<fallow_report_reply>.size ? reply : nil
    }
}
