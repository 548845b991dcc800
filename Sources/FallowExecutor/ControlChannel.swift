internal import FallowLocal
internal import FallowWire
internal import FoundationEssentials
internal import Glibc

/// The executor's end of its control socket: one assignment in, one report out.
struct ControlChannel {
    static let largestPacketBytes = 65_536

    private let connection: LocalConnection

    /// Takes over the descriptor that the agent passed.
    init(descriptor: Int32) throws(WireError) {
        do {
            connection = try LocalConnection(adopting: descriptor, type: .seqpacket)
        } catch {
            throw WireError(
                .invalid,
                "descriptor \(descriptor) is not the agent's control socket (\(error)): "
                    + "fallowd starts this program")
        }
    }

    /// For the lifeline, once nothing else is received here.
    var descriptor: Int32 { connection.descriptor }

    /// Receives the assignment and the descriptors that came with it, which the caller owns.
    /// - Throws: `.unavailable` when nothing came in time or the agent left; `.invalid` when what came is no assignment.
    func receiveAssignment(timeout: Duration) throws(WireError) -> (ExecutorAssignment, descriptors: [Int32]) {
        guard connection.waitReadable(timeout: timeout) else {
            throw WireError(.unavailable, "no assignment came within \(timeout)")
        }
        let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.largestPacketBytes, alignment: 16)
        defer { packet.deallocate() }
        let count: Int
        let descriptors: [Int32]
        do {
            guard let received = try connection.receive(into: packet), received.count > 0 else {
                throw WireError(.unavailable, "the agent closed the control socket before an assignment came")
            }
            (count, descriptors) = received
        } catch let error as WireError {
            throw error
        } catch {
            throw WireError(.invalid, "the assignment cannot be received: \(error)")
        }
        do {
            return (try JSONDecoder().decode(ExecutorAssignment.self, from: Data(packet[..<count])), descriptors)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw WireError(.invalid, "the assignment is not the JSON of an ExecutorAssignment: \(error)")
        }
    }

    /// Sends the report. Best effort: an agent that is gone is the lifeline's business.
    func send(_ report: ExecutorReport) {
        guard let bytes = try? JSONEncoder().encode(report) else { return }
        _ = try? connection.send([UInt8](bytes))
    }
}
