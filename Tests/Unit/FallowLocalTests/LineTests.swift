import FallowLocal
import Glibc
import Testing

@Suite("lines", .serialized) struct LineTests {
    @Test func aReaderCutsLines() throws {
        var reader = LineReader(lineLimitBytes: 8)
        try reader.append("one\ntw".utf8)
        #expect(reader.next()?.text == "one")
        #expect(reader.next() == nil)
        #expect(reader.isWithinLine)
        try reader.append("o\n\nx\n".utf8, descriptors: [])
        #expect([reader.next()?.text, reader.next()?.text, reader.next()?.text] == ["two", "", "x"])
        #expect(reader.next() == nil && !reader.isWithinLine)
        try reader.append("12345678\n".utf8)
        let error = #expect(throws: LocalError.self) { try reader.append("123456789".utf8) }
        #expect(error?.sentence == "a message is longer than the 8 bytes allowed")
    }

    /// What the kernel does: sends before the one with descriptors are merged with it, later ones are not.
    @Test(arguments: [1, 10, 40_000, 200_000]) func descriptorsStayWithTheirMessage(size: Int) throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        let channel = try LineChannel(near, loop: loop) { _ in
        } onClose: { _ in
        }
        let peer = BlockingLines(far)
        for number in 0..<12 {
            let descriptors = [Int32](repeating: 0, count: number % 4)
            channel.send([UInt8](repeating: UInt8(65 + number), count: size), descriptors: descriptors)
        }
        var counts: [Int] = []
        loop.after(.zero, repeating: .microseconds(200)) {
            while let message = try? peer.receive(timeout: .zero) {
                #expect(message.bytes.count == size && message.bytes[0] == UInt8(65 + counts.count))
                counts.append(message.descriptors.count)
                for descriptor in message.descriptors { close(descriptor) }
            }
            if counts.count == 12 { loop.stop() }
        }
        run(loop)
        #expect(counts == (0..<12).map { $0 % 4 })
        channel.close()
    }

    @Test func messagesAndDescriptorsBothWays() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        var heard: [String] = []
        var passed: [Int] = []
        var ended = 0
        let channel = try LineChannel(near, loop: loop) { message in
            heard.append(message.text)
            passed.append(message.descriptors.count)
            for descriptor in message.descriptors { close(descriptor) }
            if heard.count == 3 { loop.stop() }
        } onClose: { error in
            #expect(error == nil)
            ended += 1
            loop.stop()
        }
        let peer = BlockingLines(far)
        try peer.send("first".utf8, timeout: .seconds(1))
        try peer.send("second".utf8, descriptors: [0, 1], timeout: .seconds(1))
        try peer.send("third".utf8, timeout: .seconds(1))
        run(loop)
        #expect(heard == ["first", "second", "third"] && passed == [0, 2, 0])
        channel.send("answer", descriptors: [0])
        let answer = try #require(try peer.receive(timeout: .seconds(1)))
        #expect(answer.text == "answer" && answer.descriptors.count == 1)
        for descriptor in answer.descriptors { close(descriptor) }
        let error = #expect(throws: LocalError.self) { try peer.receive(timeout: .milliseconds(10)) }
        #expect(error?.code == .timedOut)
    }

    @Test func theEndIsToldOnce() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        var ends: [LocalError?] = []
        let channel = try LineChannel(near, loop: loop) { _ in
        } onClose: {
            ends.append($0)
        }
        far.close()
        loop.after(.milliseconds(30)) { loop.stop() }
        run(loop)
        #expect(ends == [nil])
        #expect(!channel.isOpen)
        channel.send("nobody hears")
        channel.close()
    }

    @Test func aLongLineDropsThePeer() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        var ends: [LocalError?] = []
        let channel = try LineChannel(near, loop: loop, lineLimitBytes: 1000) { _ in
            Issue.record("no whole line came")
        } onClose: { error in
            ends.append(error)
            loop.stop()
        }
        let file = uniqueDescriptor()
        defer { close(file) }
        _ = try far.send([UInt8](repeating: 65, count: 2000), descriptors: [file, file])
        run(loop)
        #expect(ends.first??.code == .overLimit && ends.count == 1)
        #expect(!channel.isOpen)
        #expect(openDescriptorCount(of: file) == 1)
    }

    @Test func aPeerThatDoesNotReadIsDropped() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        var ends: [LocalError?] = []
        let channel = try LineChannel(near, loop: loop, queueLimitBytes: 1 << 20) { _ in
        } onClose: { error in
            ends.append(error)
            loop.stop()
        }
        let file = uniqueDescriptor()
        defer { close(file) }
        let message = [UInt8](repeating: 65, count: 65_536)
        for _ in 0..<200 { channel.send(message, descriptors: [file]) }
        #expect(ends.isEmpty)  // never from within send
        run(loop)
        #expect(ends.first??.code == .overLimit)
        #expect(ends.first??.sentence.hasPrefix("the peer does not read") == true)
        #expect(openDescriptorCount(of: file) == 1)
        _ = far
    }

    @Test func aSlowPeerGetsEverything() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        let channel = try LineChannel(near, loop: loop) { _ in
        } onClose: { _ in
        }
        let peer = BlockingLines(far, lineLimitBytes: 1 << 20)
        for number in 0..<40 { channel.send([UInt8](repeating: UInt8(65 + number % 20), count: 90_000 + number)) }
        channel.finish(timeout: .seconds(5))
        var received = 0
        loop.after(.zero, repeating: .microseconds(200)) {
            while let message = try? peer.receive(timeout: .zero) {
                #expect(message.bytes.count == 90_000 + received)
                #expect(message.bytes.last == UInt8(65 + received % 20))
                received += 1
            }
            if received == 40 { loop.stop() }
        }
        run(loop)
        #expect(received == 40)
        #expect(!channel.isOpen)
        #expect(try peer.receive(timeout: .seconds(1)) == nil)
    }

    @Test func finishGivesUpOnAPeerThatDoesNotRead() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        let channel = try LineChannel(near, loop: loop) { _ in
        } onClose: { _ in
        }
        for _ in 0..<20 { channel.send([UInt8](repeating: 65, count: 65_536)) }
        channel.finish(timeout: .milliseconds(20))
        #expect(channel.isOpen)
        loop.after(.milliseconds(100)) { loop.stop() }
        run(loop)
        #expect(!channel.isOpen)
        _ = far
    }

    @Test func aHandlerMayCloseItsChannel() throws {
        let loop = try EventLoop()
        let (near, far) = try LocalConnection.pair(type: .stream)
        var heard = 0
        var channel: LineChannel?
        channel = try LineChannel(near, loop: loop) { _ in
            heard += 1
            channel?.close()
        } onClose: { _ in
            Issue.record("closed by ourselves")
        }
        _ = try far.send(Array("a\nb\nc\n".utf8))
        loop.after(.milliseconds(30)) { loop.stop() }
        run(loop)
        #expect(heard == 1)
    }

    @Test func halfALineAtTheEndIsAnError() throws {
        let (near, far) = try LocalConnection.pair(type: .stream)
        let lines = BlockingLines(near)
        _ = try far.send(Array("whole\nhalf".utf8))
        far.close()
        #expect(try lines.receive(timeout: .seconds(1))?.text == "whole")
        let error = #expect(throws: LocalError.self) { try lines.receive(timeout: .seconds(1)) }
        #expect(error?.code == .closed)
    }

    @Test func blockingSendHasADeadline() throws {
        let (near, far) = try LocalConnection.pair(type: .stream)
        let lines = BlockingLines(near)
        let error = #expect(throws: LocalError.self) {
            try lines.send([UInt8](repeating: 65, count: 4 << 20), timeout: .milliseconds(30))
        }
        #expect(error?.code == .timedOut)
        let newline = #expect(throws: LocalError.self) { try lines.send("a\nb".utf8, timeout: .seconds(1)) }
        #expect(newline?.code == .overLimit)
        _ = far
    }
}
