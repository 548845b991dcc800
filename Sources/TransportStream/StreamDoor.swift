internal import CLinux
internal import FallowTransport
internal import Glibc
internal import TransportHandshake

/// Where borrowers are let in, or not: one at a time, each with a proof that was not used before. Used by one thread.
///
/// Who connects and says nothing holds nobody up: several may be at the door, each for a second.
struct StreamDoor: ~Copyable {
    private static let mostAtTheDoor = 16
    private static let helloNanoseconds: Int64 = 1_000_000_000

    private struct Guest {
        var socket: StreamSocket
        var said: [UInt8] = []
        var deadline: MonotonicDeadline
    }

    private let listener: StreamSocket
    private let introduction: StreamIntroduction
    private var doorkeeper = Doorkeeper(workers: 1)
    private var guests: [Guest] = []

    init(_ listener: StreamSocket, _ introduction: StreamIntroduction) {
        self.listener = listener
        self.introduction = introduction
    }

    /// How many were turned away so far, by reason.
    var refusals: [String: Int] { doorkeeper.refusals }

    /// The borrower has gone; another may come.
    mutating func free() { doorkeeper.free(worker: 0) }

    /// Waits for the next borrower whose proof holds. Blocks, at most so long.
    mutating func next(atMostMilliseconds milliseconds: CInt) -> StreamSocket? {
        let deadline = MonotonicDeadline(in: Int64(milliseconds) * 1_000_000)
        while true {
            var watched = ([listener] + guests.map(\.socket)).map {
                pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
            }
            _ = poll(&watched, nfds_t(watched.count), deadline.millisecondsLeft)
            if watched[0].revents != 0 { open() }
            if let socket = hear() { return socket }
            if deadline.hasPassed { return nil }
        }
    }

    private mutating func open() {
        guard let socket = try? StreamSocket(adopting: clinux_stream_accept(listener.descriptor)) else { return }
        if guests.count == Self.mostAtTheDoor { guests.removeFirst() }
        guests.append(Guest(socket: socket, deadline: MonotonicDeadline(in: Self.helloNanoseconds)))
    }

    /// Takes in what guests say. - Returns: one who may come in.
    private mutating func hear() -> StreamSocket? {
        for index in guests.indices.reversed() {
            let missing = StreamIntroduction.requestBytes - guests[index].said.count
            if let words = try? guests[index].socket.receive(atMost: missing) {
                guests[index].said += words
                guard words.count == missing else {
                    if guests[index].deadline.hasPassed { guests.remove(at: index) }
                    continue
                }
                let guest = guests.remove(at: index)
                if answer(guest) { return guest.socket }
            } else {
                guests.remove(at: index)
            }
        }
        return nil
    }

    private mutating func answer(_ guest: Guest) -> Bool {
        do throws(HandshakeComplaint) {
            let nonce = try introduction.check(request: guest.said)
            try doorkeeper.admit(worker: 0, nonce: nonce)
            do throws(TransportError) { try guest.socket.send(introduction.accept(nonce: nonce)) } catch {
                throw .resources
            }
            doorkeeper.take(worker: 0)
            guest.socket.keepAlive()
            return true
        } catch {
            doorkeeper.count(error)
            try? guest.socket.send(StreamIntroduction.refusal)
            return false
        }
    }
}
