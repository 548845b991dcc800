internal import CFallowReport
internal import FallowLocal
internal import Glibc
internal import Logging

/// report.sock: takes the plugin's records, asks the shell, sends the answers. No logic of its own.
///
/// Confined to the event loop's thread. A record is one message, with the end on which its answer is awaited.
final class ReportHarness {
    /// Taken in a row: the loop has others to serve.
    static let turn = 64

    private let mailbox: LocalMailbox
    private let shell: NodeShell
    private let plugin: PluginWatch
    private var token: EventLoop.Token?

    init(path: String, shell: NodeShell, plugin: PluginWatch) throws(LocalError) {
        self.shell = shell
        self.plugin = plugin
        mailbox = try LocalMailbox(path: path, mode: 0o600)
        token = try shell.loop.watch(mailbox.descriptor, .readable) { [weak self] _ in self?.take() }
    }

    func close() {
        if let token { shell.loop.cancel(token) }
        token = nil
        mailbox.close()
    }

    private func take() {
        var buffer = [UInt8](repeating: 0, count: MemoryLayout<fallow_report_request>.size + 1)
        // What is left over is told of again.
        for _ in 0..<Self.turn {
            let taken = buffer.withUnsafeMutableBytes { bytes in
                Result { () throws(LocalError) in try mailbox.receive(into: bytes) }
            }
            switch taken {
            case .success(let message?): serve(message, buffer[..<message.count])
            case .success(nil): return
            case .failure(let error):
                shell.log.warning("a record from the plugin makes no sense", metadata: ["why": "\(error)"])
            }
        }
    }

    private func serve(_ message: LocalMailbox.Message, _ packet: ArraySlice<UInt8>) {
        for descriptor in message.descriptors.dropFirst() { Glibc.close(descriptor) }
        let end = message.descriptors.first.flatMap { try? LocalConnection(adopting: $0, type: .seqpacket) }
        // The socket's mode says so already; a file mode is not where this should end.
        guard message.sender.uid == .root else { return }
        let came = ContinuousClock.now
        let answer = { (answer: ReportAnswer) in
            guard let end else { return }
            _ = try? end.send(answer.packet)
            end.close()
            self.shell.log.debug(
                "answered the plugin", metadata: ["us": "\((ContinuousClock.now - came).nanoseconds / 1000)"])
        }
        do {
            let record = try ReportRecord(packet: Array(packet))
            shell.on(record, answer: answer)
            if record.kind == .stepStart { plugin.stepStarted(by: message.sender.pid) }
        } catch {
            shell.log.warning("a record from the plugin makes no sense", metadata: ["why": "\(error.sentence)"])
            answer(ReportAnswer(status: FALLOW_REPLY_INVALID, message: error.sentence))
        }
    }
}

extension ReportAnswer {
    /// The answer as the plugin reads it.
    var packet: [UInt8] {
        var reply = fallow_report_reply()
        reply.magic = UInt32(FALLOW_REPORT_MAGIC)
        reply.version = UInt16(FALLOW_REPORT_VERSION)
        reply.status = UInt16(status.rawValue)
        reply.vacated_leases = UInt32(clamping: vacatedLeases)
        reply.vacate_us = UInt32(clamping: vacateMicroseconds)
        reply.lending_cpus = Int64(lending.cores)
        reply.lending_mem_bytes = lending.memory.bytes
        withUnsafeMutableBytes(of: &reply.message) { Self.write(message, to: $0) }
        withUnsafeMutableBytes(of: &reply.remote_mem) { Self.write(remoteMemory ?? "", to: $0) }
        return withUnsafeBytes(of: reply) { Array($0) }
    }

    /// Cut at a character, and one byte is left for the NUL.
    private static func write(_ text: String, to field: UnsafeMutableRawBufferPointer) {
        var room = field.count - 1
        var sentence: [UInt8] = []
        for character in text {
            let bytes = Array(character.utf8)
            guard bytes.count <= room else { break }
            sentence += bytes
            room -= bytes.count
        }
        field.copyBytes(from: sentence)
    }
}
