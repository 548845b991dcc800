import FallowLocal
import FallowModel
import Glibc
import Testing

@Suite("local sockets", .serialized) struct SocketTests {
    @Test(arguments: [LocalSocketType.stream, .seqpacket]) func bytesAndCredentials(type: LocalSocketType) throws {
        try withFolder { folder in
            let listener = try LocalListener(path: "\(folder)/socket", type: type, mode: 0o600)
            #expect(try listener.accept() == nil)
            let client = try LocalConnection.connect(path: listener.path, type: type, timeout: .seconds(1))
            let server = try accepted(from: listener)
            #expect(server.peer == PeerCredentials(pid: getpid(), uid: UserID(getuid()), gid: getgid()))
            #expect(try client.send([1, 2, 3]) == 3)
            #expect(server.waitReadable(timeout: .seconds(1)))
            #expect(try receive(server).bytes == [1, 2, 3])
            client.close()
            #expect(server.waitReadable(timeout: .seconds(1)))
            #expect(try receive(server).bytes == [])
            #expect(fcntl(server.descriptor, F_GETFD) == FD_CLOEXEC)
            let error = #expect(throws: LocalError.self) { try client.send([1]) }
            #expect(error?.code == .closed)
        }
    }

    @Test func descriptorsTravelCloseOnExec() throws {
        let (near, far) = try LocalConnection.pair(type: .seqpacket)
        let file = open("/etc/passwd", O_RDONLY)
        defer { close(file) }
        #expect(try near.send([7], descriptors: [file, file]) == 1)
        let (bytes, descriptors) = try receive(far)
        #expect(bytes == [7] && descriptors.count == 2)
        var (mine, theirs) = (stat(), stat())
        fstat(file, &mine)
        for descriptor in descriptors {
            #expect(fcntl(descriptor, F_GETFD) == FD_CLOEXEC)
            fstat(descriptor, &theirs)
            #expect(mine.st_ino == theirs.st_ino)
            close(descriptor)
        }
    }

    @Test func tooManyDescriptorsAreRefused() throws {
        let (near, far) = try LocalConnection.pair(type: .seqpacket)
        let most = [Int32](repeating: 0, count: LocalConnection.descriptorLimit)
        let error = #expect(throws: LocalError.self) { try near.send([1], descriptors: most + [0]) }
        #expect(error?.sentence == "a message carries at most 64 descriptors, not 65")
        _ = try near.send([1], descriptors: most)
        let (_, descriptors) = try receive(far)
        #expect(descriptors.count == 64)
        for descriptor in descriptors { close(descriptor) }
    }

    @Test func aPacketLongerThanTheBufferIsAnErrorAndLeaksNothing() throws {
        let (near, far) = try LocalConnection.pair(type: .seqpacket)
        let file = uniqueDescriptor()
        defer { close(file) }
        _ = try near.send([UInt8](repeating: 1, count: 65_537), descriptors: [file])
        let error = #expect(throws: LocalError.self) { try receive(far) }
        #expect(error?.code == .overLimit)
        #expect(openDescriptorCount(of: file) == 1)
    }

    @Test func aFullSocketDoesNotBlock() throws {
        let (near, far) = try LocalConnection.pair(type: .stream)
        var sent = 0
        while let count = try near.send([UInt8](repeating: 1, count: 65_536)) { sent += count }
        #expect(sent > 65_536)
        far.close()
        let error = #expect(throws: LocalError.self) { try near.send([1]) }
        #expect(error?.code == .closed)
    }

    @Test func pathsAreChecked() {
        let long = "/tmp/" + String(repeating: "x", count: 103)
        let error = #expect(throws: LocalError.self) { try LocalListener(path: long, type: .stream, mode: 0o600) }
        #expect(error?.code == .badPath)
        #expect(error?.sentence.contains("has 108 bytes; the kernel allows at most 107") == true)
        let client = #expect(throws: LocalError.self) {
            try LocalConnection.connect(path: long, type: .stream, timeout: .zero)
        }
        #expect(client?.code == .badPath)
        #expect(throws: LocalError.self) { try LocalListener(path: "", type: .stream, mode: 0o600) }
    }

    @Test func onlyStaleSocketsAreReplaced() throws {
        try withFolder { folder in
            let path = "\(folder)/socket"
            let first = try LocalListener(path: path, type: .stream, mode: 0o666)
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o666)
            for type in [LocalSocketType.stream, .seqpacket] {
                let error = #expect(throws: LocalError.self) { try LocalListener(path: path, type: type, mode: 0o600) }
                #expect(error?.code == .pathInUse)
            }
            // The refused attempts did not harm the first.
            _ = try LocalConnection.connect(path: path, type: .stream, timeout: .zero)
            first.close()
            #expect(access(path, F_OK) != 0)

            // What a killed agent leaves: a file with nobody behind it.
            let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let bound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            #expect(bound == 0)
            close(dead)
            let error = #expect(throws: LocalError.self) {
                try LocalConnection.connect(path: path, type: .stream, timeout: .seconds(1))
            }
            #expect(error?.code == .notListening)
            let second = try LocalListener(path: path, type: .stream, mode: 0o600)
            second.close()
            close(open("\(folder)/file", O_CREAT | O_WRONLY, 0o600))
            let file = #expect(throws: LocalError.self) {
                try LocalListener(path: "\(folder)/file", type: .stream, mode: 0o600)
            }
            #expect(file?.code == .pathInUse)
            #expect(access("\(folder)/file", F_OK) == 0)
        }
    }

    @Test func aFullBacklogTimesOut() throws {
        try withFolder { folder in
            let listener = try LocalListener(path: "\(folder)/socket", type: .stream, mode: 0o600, backlog: 1)
            var waiting: [LocalConnection] = []
            let error = #expect(throws: LocalError.self) {
                while waiting.count < 10 {
                    waiting.append(
                        try LocalConnection.connect(path: listener.path, type: .stream, timeout: .milliseconds(50)))
                }
            }
            #expect(error?.code == .timedOut)
        }
    }
}
