import FallowLocal
import FallowModel
import Glibc
import Testing

@Suite struct MailboxTests {
    private func take(_ mailbox: LocalMailbox, capacity: Int = 100) throws -> (LocalMailbox.Message, [UInt8])? {
        var buffer = [UInt8](repeating: 0, count: capacity)
        let message = try buffer.withUnsafeMutableBytes { try mailbox.receive(into: $0) }
        return message.map { ($0, Array(buffer[..<$0.count])) }
    }

    @Test("A message comes whole, with its descriptors and its sender, and without a connection")
    func messages() throws {
        try withFolder { folder in
            let mailbox = try LocalMailbox(path: "\(folder)/socket", mode: 0o600)
            #expect(try take(mailbox) == nil)
            let file = uniqueDescriptor()
            defer { close(file) }
            let sender = try LocalConnection.connect(path: "\(folder)/socket", type: .datagram, timeout: .seconds(1))
            #expect(try sender.send([1, 2, 3], descriptors: [file]) == 3)
            #expect(try sender.send([4]) == 1)
            sender.close()
            let (message, bytes) = try #require(try take(mailbox))
            #expect(bytes == [1, 2, 3] && message.descriptors.count == 1)
            #expect(message.sender == PeerCredentials(pid: getpid(), uid: UserID(getuid()), gid: getgid()))
            #expect(openDescriptorCount(of: file) == 2)
            for descriptor in message.descriptors {
                #expect(fcntl(descriptor, F_GETFD) == FD_CLOEXEC)
                close(descriptor)
            }
            #expect(try take(mailbox)?.1 == [4])
            #expect(try take(mailbox) == nil)
        }
    }

    @Test("One that is too long is gone, and leaks nothing")
    func tooLong() throws {
        try withFolder { folder in
            let mailbox = try LocalMailbox(path: "\(folder)/socket", mode: 0o600)
            let file = uniqueDescriptor()
            defer { close(file) }
            let sender = try LocalConnection.connect(path: "\(folder)/socket", type: .datagram, timeout: .seconds(1))
            _ = try sender.send([UInt8](repeating: 1, count: 101), descriptors: [file])
            _ = try sender.send([2])
            let error = #expect(throws: LocalError.self) { _ = try take(mailbox) }
            #expect(error?.code == .overLimit)
            #expect(openDescriptorCount(of: file) == 1)
            #expect(try take(mailbox)?.1 == [2])
        }
    }

    @Test("Its file has its mode, and is taken from nobody who lives")
    func file() throws {
        try withFolder { folder in
            let path = "\(folder)/socket"
            var status = stat()
            let first = try LocalMailbox(path: path, mode: 0o600)
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let error = #expect(throws: LocalError.self) { try LocalMailbox(path: path, mode: 0o600) }
            #expect(error?.code == .pathInUse)
            // As one leaves it that was killed: the file without the socket.
            #expect(link(path, "\(folder)/file") == 0)
            first.close()
            #expect(stat(path, &status) != 0 && rename("\(folder)/file", path) == 0)
            let second = try LocalMailbox(path: path, mode: 0o622)
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o622)
            second.close()
        }
    }
}
