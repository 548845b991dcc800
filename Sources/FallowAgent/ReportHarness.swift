internal import CFallowReport
internal import FallowLocal
internal import Logging

/// report.sock: takes the plugin's records, asks the shell, sends the answers. No logic of its own.
///
/// Confined to the event loop's thread. A connection carries one record and lives two seconds at most.
final class ReportHarness {
    static let connectionLimit = 256
    static let patience: Duration = .seconds(2)

    private let listener: LocalListener
    private let shell: NodeShell
    private let plugin: PluginWatch
    private var open: [Int32: (connection: LocalConnection, watch: EventLoop.Token, patience: EventLoop.Token)] = [:]
    private var token: EventLoop.Token?

    init(path: String, shell: NodeShell, plugin: PluginWatch) throws(LocalError) {
        self.shell = shell
        self.plugin = plugin
        listener = try LocalListener(path: path, type: .seqpacket, mode: 0o600, backlog: 512)
        token = try shell.loop.watch(listener.descriptor, .readable) { [weak self] _ in self?.accept() }
    }

    func close() {
        if let token { shell.loop.cancel(token) }
        token = nil
        for descriptor in Array(open.keys) { drop(descriptor) }
        listener.close()
    }

    private func accept() {
        while open.count < Self.connectionLimit {
            guard let connection = try? listener.accept() else { return }
            // The socket's mode says so already; a file mode is not where this should end.
            guard connection.peer.uid == .root else {
                connection.close()
                continue
            }
            let descriptor = connection.descriptor
            guard let watch = try? shell.loop.watch(descriptor, .readable, { [weak self] _ in self?.serve(descriptor) })
            else {
                connection.close()
                continue
            }
            let patience = shell.loop.after(Self.patience) { [weak self] in self?.drop(descriptor) }
            open[descriptor] = (connection, watch, patience)
        }
    }

    private func serve(_ descriptor: Int32) {
        guard let connection = open[descriptor]?.connection else { return }
        defer { drop(descriptor) }
        var buffer = [UInt8](repeating: 0, count: MemoryLayout<fallow_report_request>.size + 1)
        let received = buffer.withUnsafeMutableBytes { bytes in try? connection.receive(into: bytes) }
        guard let received, received.count > 0 else { return }
        let answer: ReportAnswer
        do {
            let record = try ReportRecord(packet: Array(buffer[..<received.count]))
            answer = shell.on(record)
            if record.kind == .stepStart { plugin.stepStarted(by: connection.peer.pid) }
        } catch {
            shell.log.warning("a record from the plugin makes no sense", metadata: ["why": "\(error.sentence)"])
            answer = ReportAnswer(status: FALLOW_REPLY_INVALID, message: error.sentence)
        }
        _ = try? connection.send(answer.packet)
    }

    private func drop(_ descriptor: Int32) {
        guard let (connection, watch, patience) = open.removeValue(forKey: descriptor) else { return }
        shell.loop.cancel(watch)
        shell.loop.cancel(patience)
        connection.close()
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
