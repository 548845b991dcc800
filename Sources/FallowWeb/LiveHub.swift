internal import FallowControl
internal import FallowModel
internal import FallowWire
internal import NIOCore
internal import Synchronization

/// Sends what changes to the browsers that look: one look at the cluster for all of them, and nothing while nobody does.
///
/// Bounded on every side: so many browsers, so many messages that wait for one; a browser that does not keep up is
/// dropped, and comes back by itself.
actor LiveHub {
    /// Browsers at a time.
    static let limit = 64
    /// Messages that wait for one browser.
    private static let backlog = 8
    private static let heartbeatEvery: Duration = .seconds(15)

    private struct Subscriber {
        let viewer: Viewer
        let continuation: AsyncStream<ByteBuffer>.Continuation
        /// Whether it has been sent everything once.
        var isUpToDate = false
        var lastSentAt = ContinuousClock.now
    }

    private let source: any WebSource
    private let names: UserNames
    private let pause: Duration
    private let silentAfter: Duration
    private var subscribers: [UInt64: Subscriber] = [:]
    private var nextID: UInt64 = 0
    private var isClosed = false
    private var tiles: [NodeTile] = []
    private var figures: Figures?
    private var boards: [Sight: LeaseBoard] = [:]

    init(source: any WebSource, names: UserNames, silentAfter: Duration, pause: Duration = .seconds(1)) {
        self.source = source
        self.names = names
        self.silentAfter = silentAfter
        self.pause = pause
    }

    /// Browsers whose streams are open.
    var count: Int { subscribers.count }

    /// A stream of server-sent events, which begins with everything.
    ///
    /// - Throws: `WireError` `tooMany`, `unavailable`.
    func subscribe(_ viewer: Viewer) throws(WireError) -> (id: UInt64, events: AsyncStream<ByteBuffer>) {
        guard !isClosed else { throw WireError(.unavailable, "fallowctld is stopping") }
        guard subscribers.count < Self.limit else {
            throw WireError(.tooMany, "\(Self.limit) browsers look at this page live already")
        }
        let (events, continuation) = AsyncStream.makeStream(
            of: ByteBuffer.self, bufferingPolicy: .bufferingOldest(Self.backlog))
        nextID += 1
        subscribers[nextID] = Subscriber(viewer: viewer, continuation: continuation)
        // How soon a browser tries again that was cut off.
        continuation.yield(ByteBuffer(string: "retry: 3000\n\n"))
        return (nextID, events)
    }

    /// Ends a stream; what reads it comes to its end.
    func unsubscribe(_ id: UInt64) { subscribers.removeValue(forKey: id)?.continuation.finish() }

    /// Looks and sends until the task is cancelled.
    func run() async throws {
        while true {
            try await Task.sleep(for: pause)
            if !subscribers.isEmpty { await look() }
        }
    }

    /// Ends all streams, so that a stop need not wait for browsers.
    func close() {
        isClosed = true
        for subscriber in subscribers.values { subscriber.continuation.finish() }
        subscribers = [:]
    }

    /// One look: what is new goes to everybody, everything to who is new.
    func look() async {
        let privateData = await source.privateData()
        let nowTiles = NodeTile.tiles(await source.nodes(), silentAfter: silentAfter)
        let nowFigures = Figures(nowTiles, await source.status())
        let leases = await source.leases()
        let ended = (try? await source.endedLeases(limit: LeaseBoard.limit)) ?? []
        let users = await names.names(of: Set((leases + ended).map(\.user)))

        let before = Set(tiles)
        let changed = nowTiles.filter { !before.contains($0) }
        let present = Set(nowTiles.map(\.node))
        let gone = tiles.map(\.node).filter { !present.contains($0) }
        let isNews = figures != nowFigures || !changed.isEmpty || !gone.isEmpty
        (tiles, figures) = (nowTiles, nowFigures)

        var newBoards: [Sight: LeaseBoard] = [:]
        for (id, subscriber) in subscribers {
            let sight = Sight(subscriber.viewer, privateData)
            let board = newBoards[sight] ?? LeaseBoard(running: leases, ended: ended, sight, users)
            newBoards[sight] = board
            if isNews || !subscriber.isUpToDate {
                let whole = !subscriber.isUpToDate
                let shown = sight.nodes ? (whole ? nowTiles : changed) : []
                send(
                    "now", LiveNow(figures: nowFigures, tiles: shown, gone: sight.nodes ? gone : [], whole: whole),
                    to: id)
            }
            if boards[sight] != board || !subscriber.isUpToDate { send("leases", board, to: id) }
            subscribers[id]?.isUpToDate = true
        }
        boards = newBoards
        let due = ContinuousClock.now - Self.heartbeatEvery
        for (id, subscriber) in subscribers where subscriber.lastSentAt <= due {
            send(ByteBuffer(string: ": still here\n\n"), to: id)
        }
    }

    private func send(_ event: String, _ value: some Encodable, to id: UInt64) {
        guard let data = try? ControlJSON.encode(value) else { return }
        var buffer = ByteBuffer(string: "event: \(event)\ndata: ")
        buffer.writeBytes(data)
        buffer.writeString("\n\n")
        send(buffer, to: id)
    }

    private func send(_ buffer: ByteBuffer, to id: UInt64) {
        subscribers[id]?.lastSentAt = .now
        if case .enqueued = subscribers[id]?.continuation.yield(buffer) { return }
        unsubscribe(id)
    }
}

/// What of the cluster changed.
struct LiveNow: Codable, Sendable {
    var figures: Figures
    var tiles: [NodeTile]
    /// Nodes that there are no more.
    var gone: [String]
    /// These tiles are all that there are.
    var whole: Bool
}
