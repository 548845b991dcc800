internal import CFallowReport
internal import FallowLocal
internal import Glibc
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
        // What is left over is told of again: the loop has others to serve.
        for _ in 0..<Self.connectionLimit where open.count < Self.connectionLimit {
            guard let connection = try? listener.accept() else { return }
            // The socket's mode says so already; a file mode is not where this should end.
            guard connection.peer.uid == .root else {
                connection.close()
                continue
            }
            // The record is usually there by now; whoever sent none yet is waited for.
            if serve(connection) {
                connection.close()
                continue
            }
            let descriptor = connection.descriptor
            guard let watch = try? shell.loop.watch(descriptor, .readable, { [weak self] _ in self?.ready(descriptor) })
            else {
                connection.close()
                continue
            }
            let patience = shell.loop.after(Self.patience) { [weak self] in self?.drop(descriptor) }
            open[descriptor] = (connection, watch, patience)
        }
    }

    private func ready(_ descriptor: Int32) {
        guard let connection = open[descriptor]?.connection else { return }
        if serve(connection) { drop(descriptor) }
    }

    /// Takes a connection's record and answers it.
    /// - Returns: whether the connection has served its purpose; false: its record is not there yet.
    private func serve(_ connection: LocalConnection) -> Bool {
        var buffer = [UInt8](repeating: 0, count: MemoryLayout<fallow_report_request>.size + 1)
        let taken = buffer.withUnsafeMutableBytes { bytes in
            Result { () throws(LocalError) in try connection.receive(into: bytes) }
        }
        guard case .success(let received) = taken else { return true }
        guard let received else { return false }
        for descriptor in received.descriptors { Glibc.close(descriptor) }
        guard received.count > 0 else { return true }
        let came = ContinuousClock.now
        let answer = { (answer: ReportAnswer) in
            _ = try? connection.send(answer.packet)
            self.shell.log.debug(
                "answered the plugin", metadata: ["us": "\((ContinuousClock.now - came).nanoseconds / 1000)"])
        }
        do {
            let record = try ReportRecord(packet: Array(buffer[..<received.count]))
            shell.on(record, answer: answer)
            if record.kind == .stepStart { plugin.stepStarted(by: connection.peer.pid) }
        } catch {
            shell.log.warning("a record from the plugin makes no sense", metadata: ["why": "\(error.sentence)"])
            answer(ReportAnswer(status: FALLOW_REPLY_INVALID, message: error.sentence))
        }
        return true
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
