import CLinux
import FallowTransport
import FallowWire
import Glibc
import Testing
import TransportShm
import TransportTesting

extension TransportTests {
    /// What shared memory alone has to do: validation, ending, taking back, hostile peers.
    @Suite struct ShmArenaTests {
        private func message(_ body: () throws -> Void) -> String {
            do {
                try body()
                return "nothing thrown"
            } catch {
                return "\(error)"
            }
        }

        @Test func shapesOutOfBoundsAreRefusedWithASentence() {
            #expect(
                message { _ = try ShmArena.create(geometry: ArenaGeometry(slotCount: 3), workers: 1) }
                    == "slots must be a power of two from 1 to 1024, not 3")
            #expect(
                message { _ = try ShmArena.create(geometry: smallGeometry, workers: 0) }
                    == "an arena has 1 to 1024 workers, not 0")
            let vast = ArenaGeometry(slotCount: 1024, inputBytes: 1 << 30, outputBytes: 1 << 30)
            #expect(message { _ = try ShmArena.create(geometry: vast, workers: 2) }.contains("too large"))
        }

        @Test func onlyTheAgreedArenaIsAdopted() throws {
            let arena = try ShmArena.create(geometry: smallGeometry, workers: 2)
            func adopt(_ geometry: ArenaGeometry, _ workers: Int) throws {
                _ = try ShmArena(adopting: dup(arena.descriptor), expecting: geometry, workers: workers)
            }
            try adopt(smallGeometry, 2)
            #expect(message { try adopt(smallGeometry, 3) }.contains("were agreed"))
            // The same size, but cut differently.
            let turned = ArenaGeometry(slotCount: 8, inputBytes: 8191, outputBytes: 8192)
            #expect(
                ShmArena.byteCount(geometry: turned, workers: 2)
                    == ShmArena.byteCount(geometry: smallGeometry, workers: 2))
            #expect(message { try adopt(turned, 2) }.contains("not the one that was agreed"))
            pwrite(arena.descriptor, "x", 1, 8)
            #expect(message { try adopt(smallGeometry, 2) }.contains("version"))
            pwrite(arena.descriptor, "x", 1, 0)
            #expect(message { try adopt(smallGeometry, 2) }.contains("magic"))
            #expect(
                message {
                    _ = try ShmArena(adopting: open("/dev/zero", O_RDWR), expecting: smallGeometry, workers: 2)
                }.contains("sealed"))
            #expect(message { _ = try ShmArena(adopting: -1, expecting: smallGeometry, workers: 2) }.contains("sealed"))
        }

        @Test func nobodyCanChangeTheSize() throws {
            let arena = try ShmArena.create(geometry: smallGeometry, workers: 1)
            #expect(ftruncate(arena.descriptor, 0) != 0)
            #expect(ftruncate(arena.descriptor, 1 << 40) != 0)
        }

        @Test func eachSideIsTakenOnce() throws {
            let arena = try ShmArena.create(geometry: smallGeometry, workers: 1)
            let first = try arena.endpoint(worker: 0, side: .client)
            #expect(throws: TransportError.refused) { _ = try arena.endpoint(worker: 0, side: .client).slotCount }
            _ = first.slotCount
        }

        @Test(arguments: [WaitMode.polling, .sleeping])
        func anEndedLeaseIsNoticedAndItsMemoryTakenBack(_ mode: WaitMode) throws {
            let arena = try ShmArena.create(geometry: smallGeometry, workers: 2)
            var caller = Caller(try arena.endpoint(worker: 1, side: .client))
            var executor = try arena.endpoint(worker: 1, side: .executor)
            for _ in 0..<8 { try caller.send(8000) }
            try serveEcho(&executor, .polling, count: 8)
            try caller.receive(8000)
            let before = arena.residentBytes
            #expect(before > 100_000)
            #expect(arena.endedReason == nil)
            // One reply is there and being read when the agent takes the memory back.
            _ = try #require(try caller.endpoint.poll())
            let clock = ContinuousClock()
            nonisolated(unsafe) var ended = clock.now
            let agent = PeerThread {
                usleep(50_000)
                ended = clock.now
                arena.markEnded(7)
                try? arena.reclaim()
            }
            // Worker 0's client waits, and nobody ever answers.
            var waiting = try arena.endpoint(worker: 0, side: .client)
            #expect(throws: TransportError.peerLost) { _ = try receive(&waiting, mode) }
            #expect(clock.now - ended < .milliseconds(50))
            agent.join()
            #expect(arena.endedReason == 7)
            #expect(arena.residentBytes <= 3 * 4096, "\(arena.residentBytes) of \(before) bytes are still held")
            // Reading goes on without a fault, but is not believed; writing costs the writer, not the lease.
            #expect(caller.endpoint.incoming(1).load(fromByteOffset: 64, as: UInt8.self) == 0)
            #expect(throws: TransportError.peerLost) { try caller.endpoint.confirmRead() }
            caller.endpoint.outgoing(0).storeBytes(of: 1, as: UInt8.self)
            #expect(throws: TransportError.peerLost) { _ = try executor.sleep(atMost: .seconds(5)) }
        }

        /// The beginnings alone: what is mapped has to be unmapped before a killed executor's core is free.
        @Test func prefaultingAllocatesTheBeginningsOfAWorkersSlots() throws {
            let arena = try ShmArena.create(
                geometry: ArenaGeometry(slotCount: 8, inputBytes: 1 << 20, outputBytes: 1000), workers: 2)
            try arena.prefault(worker: 1)
            // 8 KiB of a large slot touch three pages at most.
            let pages = arena.residentBytes / 4096
            #expect(pages >= 8 * 2 && pages <= 1 + 8 * 3 + 8)
        }

        @Test func aMessageBeyondTheCreditIsAViolation() throws {
            let arena = try ShmArena.create(geometry: smallGeometry, workers: 1)
            var client = try arena.endpoint(worker: 0, side: .client)
            // A reply that nobody asked for: the doorbell of message 0 in the output's slot 0.
            let bell = UnsafeMutableRawPointer(mutating: client.incoming(0)) + 56
            bell.storeBytes(of: 1 << 32, as: UInt64.self)
            #expect(throws: TransportError.protocolViolation) { _ = try client.poll() }
        }

        /// The peer writes random bytes and plausible doorbells everywhere: this side may fail, with an error and in time.
        @Test(arguments: ["scribble-all", "scribble-slots"])
        func aScribblingPeerHarmsOnlyItself(_ mode: String) throws {
            for round in 0..<6 {
                let arena = try ShmArena.create(geometry: smallGeometry, workers: 1)
                // Attached before the scribbling starts; the token could not be taken afterwards.
                var endpoint = try arena.endpoint(worker: 0, side: round % 2 == 0 ? .client : .executor)
                let peer = try PeerProcess(["shm", "8", "8192", "8192", mode], descriptor: arena.descriptor)
                let clock = ContinuousClock()
                let start = clock.now
                var sequence: UInt32 = 0
                var endings = 0
                while clock.now - start < .milliseconds(250) {
                    do throws(TransportError) {
                        if round % 2 == 0 {
                            try endpoint.send(sequence: sequence, byteCount: 100)
                            sequence &+= 1
                            _ = try receive(&endpoint, .mixed, timeout: .milliseconds(5))
                        } else {
                            try serveEcho(&endpoint, .mixed, count: 1, timeout: .milliseconds(5))
                        }
                    } catch {
                        endings += 1
                        if error == .ringFull { usleep(100) }
                    }
                }
                #expect(clock.now - start < .seconds(1))
                _ = (peer, endings)
            }
        }
    }
}
