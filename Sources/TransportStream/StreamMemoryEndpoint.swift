internal import CLinux
public import FallowTransport
internal import Glibc
internal import TransportHandshake

/// A donor's memory on another node, over one TCP connection.
///
/// Requests go out and replies come back in one order, so a reply's bytes are received where they are wanted, several replies
/// with one system call, and nothing is copied here. A request goes out at once while few are on the way; with eight on the way
/// further ones wait for each other, or for replies. No thread: everything moves while this side polls. A donor that
/// dies is seen at once, one whose network is cut within about 2 s; one that is merely stopped is not lost, and its operations
/// stay in flight.
public struct StreamMemoryEndpoint: ~Copyable, MemoryEndpoint, @unchecked Sendable {
    private struct Operation {
        var token: UInt64 = 0
        var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        var isRead = false
        var isGood = true

        /// Bytes of the request and of the reply, their heads included.
        var sentBytes: Int { StreamRequest.bytes + (isRead ? 0 : buffer.count) }
        var receivedBytes: Int { StreamReply.bytes + (isRead ? buffer.count : 0) }
    }

    private static var depth: Int { 64 }
    /// Parts of one system call: heads and buffers of half as many operations.
    private static var mostParts: Int { 64 }
    /// With so many on the way further requests wait for as many.
    private static var gathered: Int { 8 }
    /// Polls in vain between two looks at the connection; a power of two.
    private static var idlePollsPerLook: UInt32 { 64 }
    /// Between two questions whether the donor's host answers.
    private static var nanosecondsPerQuestion: UInt64 { 250_000_000 }

    public let capacityBytes: Int
    private let socket: StreamSocket
    /// Rings: operation number n is at n modulo the depth.
    private let operations: UnsafeMutablePointer<Operation>
    private let requests: UnsafeMutablePointer<StreamRequest>
    private let replies: UnsafeMutablePointer<StreamReply>
    private let parts: UnsafeMutablePointer<iovec>
    /// How many operations were posted, sent whole, over, and polled, ever.
    private var posted = 0
    private var sent = 0
    private var over = 0
    private var polled = 0
    /// Bytes of the request being sent that are sent, and of the reply being received that are here.
    private var sentBytes = 0
    private var receivedBytes = 0
    private var idlePolls: UInt32 = 0
    private var nextQuestion: UInt64 = 0
    public private(set) var isOver = false

    init(_ socket: StreamSocket, capacityBytes: Int) {
        self.socket = socket
        self.capacityBytes = capacityBytes
        operations = .allocate(capacity: Self.depth)
        operations.initialize(repeating: Operation(), count: Self.depth)
        requests = .allocate(capacity: Self.depth)
        replies = .allocate(capacity: Self.depth)
        replies.initialize(repeating: StreamReply(), count: Self.depth)
        parts = .allocate(capacity: Self.mostParts)
    }

    deinit {
        socket.close()
        operations.deallocate()
        requests.deallocate()
        replies.deallocate()
        parts.deallocate()
    }

    public var depth: Int { Self.depth }
    public var inFlight: Int { posted - polled }

    public mutating func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try post(.read, buffer, offset, token)
    }

    public mutating func write(
        from buffer: UnsafeRawBufferPointer, at offset: Int, token: UInt64
    ) throws(TransportError) {
        try post(.write, UnsafeMutableRawBufferPointer(mutating: buffer), offset, token)
    }

    private mutating func post(
        _ kind: StreamRequest.Kind, _ buffer: UnsafeMutableRawBufferPointer, _ offset: Int, _ token: UInt64
    ) throws(TransportError) {
        try check(offset: offset, count: buffer.count)
        guard !isOver else { throw .peerLost }
        guard inFlight < Self.depth else { throw .ringFull }
        let slot = posted & (Self.depth - 1)
        operations[slot] = Operation(token: token, buffer: buffer, isRead: kind == .read)
        requests[slot] = StreamRequest(
            kind, sequence: UInt32(truncatingIfNeeded: posted), offset: offset, count: buffer.count)
        posted += 1
        if isDue { send() }
    }

    public mutating func poll() -> MemoryCompletion? {
        if polled == over { progress() }
        guard polled < over else { return nil }
        let operation = operations[polled & (Self.depth - 1)]
        polled += 1
        return MemoryCompletion(token: operation.token, error: operation.isGood ? nil : .peerLost)
    }

    public mutating func beginSleep(_ descriptors: inout [Int32]) -> Bool {
        progress()
        look()
        guard polled == over else { return false }
        guard !isOver else { return true }
        let descriptor = isDue ? socket.watchForBoth : socket.descriptor
        guard descriptor >= 0 else { return false }
        descriptors.append(descriptor)
        return true
    }

    public mutating func close() { fail() }

    /// Whether what waits is to be sent: it is much, little else is on the way, or a part of it has been sent.
    private var isDue: Bool {
        sent < posted && (sent - over < Self.gathered || posted - sent >= Self.gathered || sentBytes > 0)
    }

    /// Sends what is to be sent and takes in what came. Never blocks.
    private mutating func progress() {
        if isDue { send() }
        if over < sent {
            let before = (over, receivedBytes)
            receive()
            if before != (over, receivedBytes) { return }
        }
        idlePolls &+= 1
        if idlePolls & (Self.idlePollsPerLook &- 1) == 0 { look() }
    }

    private mutating func send() {
        while !isOver, sent < posted {
            var (count, bytes, skipped, next) = (0, 0, sentBytes, sent)
            while next < posted, count + 2 <= Self.mostParts {
                let slot = next & (Self.depth - 1)
                add(requests + slot, StreamRequest.bytes, &skipped, &count, &bytes)
                if !operations[slot].isRead {
                    let buffer = operations[slot].buffer
                    add(buffer.baseAddress, buffer.count, &skipped, &count, &bytes)
                }
                next += 1
            }
            let moved = clinux_stream_send(socket.descriptor, parts, CInt(count))
            guard moved > 0 else { return moved == -Int(EAGAIN) ? () : fail() }
            sentBytes += moved
            while sent < posted, case let whole = operations[sent & (Self.depth - 1)].sentBytes, sentBytes >= whole {
                sentBytes -= whole
                sent += 1
            }
            // There is no room for more.
            if moved < bytes { return }
        }
    }

    private mutating func receive() {
        while !isOver, over < sent {
            var (count, bytes, skipped, next) = (0, 0, receivedBytes, over)
            while next < sent, count + 2 <= Self.mostParts {
                let slot = next & (Self.depth - 1)
                add(replies + slot, StreamReply.bytes, &skipped, &count, &bytes)
                if operations[slot].isRead {
                    let buffer = operations[slot].buffer
                    add(buffer.baseAddress, buffer.count, &skipped, &count, &bytes)
                }
                next += 1
            }
            let moved = clinux_stream_receive(socket.descriptor, parts, CInt(count))
            guard moved > 0 else { return moved == -Int(EAGAIN) ? () : fail() }
            receivedBytes += moved
            while over < sent, case let slot = over & (Self.depth - 1), receivedBytes >= StreamReply.bytes {
                let expected = StreamReply(
                    operations[slot].isRead ? .read : .write, sequence: UInt32(truncatingIfNeeded: over))
                guard replies[slot] == expected else { return fail() }
                let whole = operations[slot].receivedBytes
                guard receivedBytes >= whole else { break }
                receivedBytes -= whole
                over += 1
            }
            // There is no more.
            if moved < bytes { return }
        }
    }

    /// Adds memory to what the next system call moves, less what was moved before.
    private func add(
        _ start: UnsafeMutableRawPointer?, _ size: Int, _ skipped: inout Int, _ count: inout Int, _ bytes: inout Int
    ) {
        guard skipped < size else {
            skipped -= size
            return
        }
        parts[count] = iovec(iov_base: start?.advanced(by: skipped), iov_len: size - skipped)
        bytes += size - skipped
        skipped = 0
        count += 1
    }

    /// Whether the donor is still there.
    private mutating func look() {
        guard !isOver else { return }
        guard over == sent else { return question() }
        // It says nothing that was not asked for.
        var byte: UInt8 = 0
        let moved = withUnsafeMutableBytes(of: &byte) { buffer in
            var part = iovec(iov_base: buffer.baseAddress, iov_len: 1)
            return clinux_stream_receive(socket.descriptor, &part, 1)
        }
        if moved != -Int(EAGAIN) { fail() }
    }

    /// Whether its host answers to what was sent.
    private mutating func question() {
        let now = MonotonicDeadline.nowNanoseconds()
        guard now >= nextQuestion else { return }
        nextQuestion = now + Self.nanosecondsPerQuestion
        if socket.isSilent { fail() }
    }

    /// Everything in flight is over, and no buffer of it is touched any more.
    private mutating func fail() {
        guard !isOver else { return }
        isOver = true
        socket.close()
        for number in over..<posted { operations[number & (Self.depth - 1)].isGood = false }
        over = posted
        sent = posted
    }
}
