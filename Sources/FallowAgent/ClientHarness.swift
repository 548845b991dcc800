internal import FallowLocal
internal import FallowModel
internal import FallowWire
internal import Glibc
internal import Logging

/// client.sock: who speaks, in which message, with which descriptor. What to do is the broker's.
///
/// Confined to the event loop's thread. A connection is the lifeline of the leases opened over it.
final class ClientHarness {
    static let connectionLimit = 4096
    static let connectionsPerUser = 256
    static let requestsAtOnce = 16

    /// One connected client.
    final class Client {
        let number: Int
        let peer: PeerCredentials
        fileprivate(set) var channel: LineChannel?
        /// Leases opened over this connection.
        var leases: Set<LeaseID> = []
        /// Requests whose answers are still being made.
        var pending = 0

        init(number: Int, peer: PeerCredentials) {
            self.number = number
            self.peer = peer
        }

        func send(_ reply: LocalReply, descriptors: [Int32] = []) {
            guard let bytes = try? encodeJSON(reply) else { return }
            channel?.send(bytes, descriptors: descriptors)
        }
    }

    private let listener: LocalListener
    private let loop: EventLoop
    private let log: Logger
    private(set) var clients: [Int: Client] = [:]
    private var lastNumber = 0
    private var token: EventLoop.Token?
    /// A request, with the descriptor that came with it (the receiver closes it), or -1.
    var onRequest: (Client, LocalRequest, Int32) -> Void = { _, _, descriptor in Glibc.close(descriptor) }
    /// The client's process or its connection ended.
    var onGone: (Client) -> Void = { _ in }

    init(path: String, loop: EventLoop, log: Logger) throws(LocalError) {
        self.loop = loop
        self.log = log
        listener = try LocalListener(path: path, type: .stream, mode: 0o666)
        token = try loop.watch(listener.descriptor, .readable) { [weak self] _ in self?.accept() }
    }

    func close() {
        if let token { loop.cancel(token) }
        token = nil
        for client in clients.values { client.channel?.close() }
        clients = [:]
        listener.close()
    }

    private func accept() {
        while let connection = try? listener.accept() {
            let user = connection.peer.uid
            guard clients.count < Self.connectionLimit,
                clients.values.count(where: { $0.peer.uid == user }) < Self.connectionsPerUser
            else {
                connection.close()
                continue
            }
            lastNumber += 1
            let client = Client(number: lastNumber, peer: connection.peer)
            client.channel = try? LineChannel(
                connection, loop: loop,
                onMessage: { [weak self, weak client] message in
                    if let client { self?.on(message, from: client) }
                },
                onClose: { [weak self, weak client] _ in
                    if let client { self?.gone(client) }
                })
            if client.channel != nil { clients[client.number] = client }
        }
    }

    private func on(_ message: LineMessage, from client: Client) {
        let descriptor = message.descriptors.first ?? -1
        for extra in message.descriptors.dropFirst() { Glibc.close(extra) }
        func refuse(_ id: UInt64?, _ error: WireError) {
            if descriptor >= 0 { Glibc.close(descriptor) }
            client.send(LocalReply(id: id, kind: .error, error: error))
        }
        do {
            let request = try decodeJSON(LocalRequest.self, from: message.bytes)
            guard client.pending < Self.requestsAtOnce else {
                let limit = "at most \(Self.requestsAtOnce) requests may be under way on one connection"
                return refuse(request.id, WireError(.tooMany, limit))
            }
            client.pending += 1
            onRequest(client, request, descriptor)
        } catch {
            refuse(nil, WireError(.invalid, "not a request this agent knows: \(describe(error))"))
        }
    }

    private func gone(_ client: Client) {
        guard clients.removeValue(forKey: client.number) != nil else { return }
        client.channel = nil
        onGone(client)
    }
}
