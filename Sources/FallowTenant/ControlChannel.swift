internal import FallowLocal
internal import FallowModel
package import FallowWire
internal import FoundationEssentials
internal import Glibc

/// The end of the control socket that executors and donors have: what to be in, reports out.
package struct ControlChannel {
    static let largestPacketBytes = 65_536

    private let connection: LocalConnection

    /// Takes over the descriptor that the agent passed.
    package init(descriptor: Int32) throws(WireError) {
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
    package var descriptor: Int32 { connection.descriptor }

    /// Whether something has come, or the agent has left.
    package var hasPacket: Bool { connection.waitReadable(timeout: .zero) }

    /// Waits for a message, as long as the agent holds the other end, and takes it with its descriptors, which the caller owns.
    /// - Throws: `.unavailable` when the agent left; `.invalid` when what came is no such message.
    package func receive<Message: Decodable>(
        _ type: Message.Type
    ) throws(WireError) -> (Message, descriptors: [Int32]) {
        wait()
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
            return (try JSONDecoder().decode(type, from: Data(packet[..<count])), descriptors)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw WireError(.invalid, "the assignment is not the JSON of one (\(type)): \(error)")
        }
    }

    /// Sleeps until something has come, or the agent has left.
    package func wait() { while !connection.waitReadable(timeout: .seconds(86_400)) {} }

    /// Encodes and decodes an executor's orders as they will come.
    package static func rehearse() {
        let assignment = ExecutorAssignment(
            leaseID: LeaseID(1), secret: "", workers: 1, cpus: MachineCPUSet([0]), transport: .shm, bindAddress: "",
            slotCount: 1, inputBytes: 1, outputBytes: 1, libraryName: "", pollMicroseconds: 1)
        let entry = ExecutorEntry(
            uid: UserID(1), gid: 1, groups: [1], name: "", home: "", cgroups: ["": ""], openFiles: 1, fileSize: .zero)
        for order in [ExecutorOrder.become(entry: entry), .serve(assignment: assignment)] {
            guard let bytes = try? JSONEncoder().encode(order) else { return }
            _ = try? JSONDecoder().decode(ExecutorOrder.self, from: bytes)
        }
    }

    /// Sends the report. Best effort: an agent that is gone is the lifeline's business.
    package func send(_ report: ExecutorReport) {
        guard let bytes = try? JSONEncoder().encode(report) else { return }
        _ = try? connection.send([UInt8](bytes))
    }
}
