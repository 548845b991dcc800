internal import CLinux
internal import FallowTransport
internal import Glibc
internal import TransportHandshake

/// A donor's end of one connection: answers what the borrower asks, in order, out of the memory itself.
///
/// Nothing the borrower says is believed unchecked; one that asks for what there is not is hung up on. A borrower that does not
/// take its replies stops its own requests alone.
final class StreamService {
    private static let pollNanoseconds: UInt64 = 50_000
    private static let inputBytes = 1 << 16
    private static let mostParts = 64
    /// How long it goes on at least without asking whether it is wanted.
    private static let patienceNanoseconds: UInt64 = 50_000_000
    /// Looks in vain between two at the clock.
    private static let looksPerClock = 16

    private let socket: StreamSocket
    private let memory: UnsafeMutableRawBufferPointer
    private let input = UnsafeMutableRawPointer.allocate(byteCount: inputBytes, alignment: 64)
    private var filled = 0
    private let replies = UnsafeMutablePointer<StreamReply>.allocate(capacity: mostParts)
    private let parts = UnsafeMutablePointer<iovec>.allocate(capacity: mostParts)
    private var partCount = 0
    private var replyCount = 0
    private var sequence: UInt32 = 0
    private var lastAsked = MonotonicDeadline.nowNanoseconds()

    init(_ socket: StreamSocket, _ memory: UnsafeMutableRawBufferPointer) {
        self.socket = socket
        self.memory = memory
    }

    deinit {
        input.deallocate()
        replies.deallocate()
        parts.deallocate()
        socket.close()
    }

    /// Serves until the borrower or its host goes, or `goesOn`, which is asked about every 50 ms, says no.
    func run(while goesOn: () -> Bool) {
        while true {
            let moved = receive(into: input + filled, Self.inputBytes - filled, goesOn)
            guard moved > 0 else { return }
            filled += moved
            guard answer(goesOn), flush(goesOn), isWanted(goesOn) else { return }
        }
    }

    /// Answers what is there whole. - Returns: false when the connection is over.
    private func answer(_ goesOn: () -> Bool) -> Bool {
        var begin = 0
        while filled - begin >= StreamRequest.bytes {
            let request = input.loadUnaligned(fromByteOffset: begin, as: StreamRequest.self)
            begin += StreamRequest.bytes
            guard let (kind, range) = request.checked(sequence: sequence, capacityBytes: memory.count) else {
                return false
            }
            let asked = UnsafeMutableRawBufferPointer(rebasing: memory[range])
            if kind == .write {
                let here = min(asked.count, filled - begin)
                asked.copyMemory(from: UnsafeRawBufferPointer(start: input + begin, count: here))
                begin += here
                guard here == asked.count || take(UnsafeMutableRawBufferPointer(rebasing: asked[here...]), goesOn)
                else { return false }
            }
            if partCount + 2 > Self.mostParts, !flush(goesOn) { return false }
            replies[replyCount] = StreamReply(kind, sequence: sequence)
            parts[partCount] = iovec(iov_base: replies + replyCount, iov_len: StreamReply.bytes)
            replyCount += 1
            partCount += 1
            if kind == .read {
                parts[partCount] = iovec(iov_base: asked.baseAddress, iov_len: asked.count)
                partCount += 1
            }
            sequence &+= 1
        }
        filled -= begin
        if filled > 0, begin > 0 { memmove(input, input + begin, filled) }
        return true
    }

    /// The rest of a write, which has not come yet.
    private func take(_ buffer: UnsafeMutableRawBufferPointer, _ goesOn: () -> Bool) -> Bool {
        // The borrower may wait for these before it sends on.
        guard flush(goesOn) else { return false }
        var done = 0
        while done < buffer.count {
            let moved = receive(into: buffer.baseAddress?.advanced(by: done), buffer.count - done, goesOn)
            guard moved > 0 else { return false }
            done += moved
        }
        return true
    }

    /// Sends all replies. - Returns: false when the connection is over.
    private func flush(_ goesOn: () -> Bool) -> Bool {
        var first = 0
        while first < partCount {
            var moved = clinux_stream_send(socket.descriptor, parts + first, CInt(partCount - first))
            if moved == -Int(EAGAIN) {
                guard sleep(Int16(POLLOUT), goesOn) else { return false }
                continue
            }
            guard moved > 0 else { return false }
            while first < partCount, moved >= parts[first].iov_len {
                moved -= parts[first].iov_len
                first += 1
            }
            if moved > 0 {
                parts[first].iov_base = parts[first].iov_base.advanced(by: moved)
                parts[first].iov_len -= moved
            }
        }
        partCount = 0
        replyCount = 0
        return true
    }

    /// Waits for bytes: polls for a while, then sleeps.
    /// - Returns: how many came; 0 or less when the connection is over.
    private func receive(into start: UnsafeMutableRawPointer?, _ count: Int, _ goesOn: () -> Bool) -> Int {
        var part = iovec(iov_base: start, iov_len: count)
        var end: UInt64?
        while true {
            for _ in 0..<Self.looksPerClock {
                let moved = clinux_stream_receive(socket.descriptor, &part, 1)
                if moved != -Int(EAGAIN) { return moved }
            }
            let now = MonotonicDeadline.nowNanoseconds()
            let over = end ?? now + Self.pollNanoseconds
            end = over
            guard now < over || sleep(Int16(POLLIN), goesOn) else { return 0 }
        }
    }

    /// Sleeps until the socket is ready, 50 ms at most. - Returns: false when nobody wants this to go on.
    private func sleep(_ events: Int16, _ goesOn: () -> Bool) -> Bool {
        var watched = pollfd(fd: socket.descriptor, events: events, revents: 0)
        _ = poll(&watched, 1, 50)
        return isWanted(goesOn)
    }

    /// Asks now and then.
    private func isWanted(_ goesOn: () -> Bool) -> Bool {
        let now = MonotonicDeadline.nowNanoseconds()
        guard now - lastAsked > Self.patienceNanoseconds else { return true }
        lastAsked = now
        return goesOn() && !socket.isSilent
    }
}
