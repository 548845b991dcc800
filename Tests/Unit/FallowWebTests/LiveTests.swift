import FallowModel
import FallowWire
import NIOCore
import Testing

@testable import FallowWeb

@Suite struct LiveTests {
    private func hub(_ source: FixedSource) -> LiveHub {
        LiveHub(source: source, names: UserNames(), silentAfter: .seconds(6))
    }

    /// What came so far, as texts.
    private func drain(_ hub: LiveHub, _ id: UInt64, _ events: AsyncStream<ByteBuffer>) async -> [String] {
        await hub.unsubscribe(id)
        var texts: [String] = []
        for await event in events { texts.append(String(buffer: event)) }
        return texts
    }

    @Test func aNewBrowserGetsEverythingAndThenWhatChanged() async throws {
        let source = FixedSource()
        source.state.withLock { $0.nodes = [view("n1"), view("n2")] }
        let hub = hub(source)
        let (id, events) = try await hub.subscribe(.reader)
        await hub.look()
        await hub.look()
        source.state.withLock {
            $0.nodes = [view("n1"), view("n2", allocated: 4), view("n3")]
            $0.leases = [lease(5, user: 0)]
        }
        await hub.look()
        source.state.withLock { $0.nodes.removeAll { $0.node == NodeName("n1") } }
        await hub.look()
        let texts = await drain(hub, id, events)
        // The second look had nothing new.
        #expect(texts.count == 6)
        #expect(texts[1].hasPrefix("event: now\n") && texts[1].contains("\"whole\":true"))
        #expect(texts[1].contains("\"n1\""))
        #expect(texts[2].hasPrefix("event: leases\n") && texts[2].contains("\"count\":0"))
        #expect(texts[3].contains("\"whole\":false") && !texts[3].contains("\"n1\"") && texts[3].contains("\"n3\""))
        #expect(texts[4].contains("\"count\":1") && texts[4].contains("0000000000000005"))
        #expect(texts[5].contains("\"gone\":[\"n1\"]"))
        #expect(texts.allSatisfy { $0.hasSuffix("\n\n") && $0.dropLast(2).split(separator: "\n").count <= 2 })
    }

    @Test func eachSeesWhatTheyMay() async throws {
        let source = FixedSource()
        source.state.withLock {
            $0.nodes = [view("secret-node")]
            $0.leases = [lease(1, user: 0), lease(2, user: 8)]
            $0.privateData = .everything
        }
        let hub = hub(source)
        let reader = try await hub.subscribe(.reader)
        let user = try await hub.subscribe(.user(UserID(8)))
        let all = try await hub.subscribe(.operator(.root))
        await hub.look()
        let (forReader, forUser, forAll) = (
            await drain(hub, reader.id, reader.events).joined(), await drain(hub, user.id, user.events).joined(),
            await drain(hub, all.id, all.events).joined()
        )
        #expect(!forReader.contains("secret-node") && forReader.contains("\"hidden\":2"))
        #expect(!forReader.contains("0000000000000002") && forReader.contains("\"cores\":8"))
        #expect(forUser.contains("0000000000000002") && !forUser.contains("0000000000000001"))
        #expect(forAll.contains("0000000000000001") && forAll.contains("secret-node"))
    }

    @Test func aBrowserThatDoesNotKeepUpIsDropped() async throws {
        let source = FixedSource()
        let hub = hub(source)
        let (id, events) = try await hub.subscribe(.reader)
        for cores in 1...30 {
            source.state.withLock { $0.nodes = [view("n1", cores: cores)] }
            await hub.look()
        }
        #expect(await hub.count == 0)
        #expect(await drain(hub, id, events).count <= 8)
    }

    @Test func thereAreSoManyAndNoMore() async throws {
        let hub = hub(FixedSource())
        var last: UInt64 = 0
        for _ in 0..<LiveHub.limit { last = try await hub.subscribe(.reader).id }
        await #expect(throws: WireError.self) { try await hub.subscribe(.reader) }
        await hub.unsubscribe(last)
        _ = try await hub.subscribe(.reader)
        await hub.close()
        #expect(await hub.count == 0)
        await #expect(throws: WireError.self) { try await hub.subscribe(.reader) }
    }

    @Test func nobodyLooksWhileNobodyLooks() async throws {
        let source = FixedSource()
        let hub = LiveHub(source: source, names: UserNames(), silentAfter: .seconds(6), pause: .milliseconds(5))
        let running = Task { try await hub.run() }
        try await Task.sleep(for: .milliseconds(60))
        #expect(source.state.withLock { $0.looks } == 0)
        let (id, events) = try await hub.subscribe(.reader)
        for _ in 0..<200 where source.state.withLock({ $0.looks }) < 2 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(source.state.withLock { $0.looks } >= 2)
        running.cancel()
        _ = await running.result
        #expect(await drain(hub, id, events).count == 3)
    }

    @Test func oneAnswerServesManyAndErrorsAreForgotten() async throws {
        let cache = AnswerCache<Int, Int>(life: .seconds(60), limit: 2)
        let made = FixedSource()
        @Sendable func make() -> Int {
            made.state.withLock {
                $0.looks += 1
                return $0.looks
            }
        }
        async let first = cache.value(1) { make() }
        async let second = cache.value(1) { make() }
        #expect(try await [first, second] == [1, 1])
        await #expect(throws: WireError.self) { try await cache.value(2) { throw WireError(.unavailable, "no") } }
        #expect(try await cache.value(2) { make() } == 2)
        _ = try await cache.value(3) { make() }
        #expect(try await cache.value(3) { make() } == 3)
    }
}
