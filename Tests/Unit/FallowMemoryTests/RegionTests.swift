import FallowClient
import FallowMemory
import Glibc
import Testing
import TransportTesting

extension DonorTests {
    /// Regions over real donors.
    @Suite struct RegionTests {
        static let durabilities: [Durability] = [.cache, .pair, .scratch(folder: "/tmp")]

        @Test(arguments: durabilities, [true, false])
        func whatWasPutIsGot(_ durability: Durability, _ isHere: Bool) throws {
            let lent = try Lent(
                3, isHere: isHere, donorBytes: 4 << 20, sizeBytes: (5 << 20) + 77, durability, stripeBytes: 65536)
            let region = lent.region
            #expect(try region.get(1000, at: 12345) == [UInt8](repeating: 0, count: 1000), "never written")
            for (version, (count, offset)) in [
                (1, 0), (1, region.sizeBytes - 1), (100, 65500), (65536, 0), (70000, 131071), (1 << 20, 3 << 20),
                (region.sizeBytes, 0), (77, region.sizeBytes - 77),
            ].enumerated() {
                let bytes = pattern(count, at: offset, version)
                try region.put(bytes, at: offset)
                #expect(try region.get(count, at: offset) == bytes, "\(count) bytes at \(offset)")
            }
            let told = region.statistics
            #expect(told.writes == 8 && told.reads == 9 && told.donors == 3 && told.lostDonors == 0)
        }

        /// The rest of a block that is written in part for the first time is zeros, whatever the donor's memory held.
        @Test func theRestOfABlockIsZeros() throws {
            let lent = try Lent(2, sizeBytes: 1 << 16, .cache)
            try lent.region.put([1, 2, 3], at: 5000)
            var expected = [UInt8](repeating: 0, count: 8192)
            expected.replaceSubrange(5000..<5003, with: [1, 2, 3])
            #expect(try lent.region.get(8192, at: 0) == expected)
        }

        @Test func badInputIsSaid() throws {
            let donor = try Donor(isHere: true, capacityBytes: 1 << 20)
            let openBefore = openDescriptors()
            for size in [0, -1, .max, 1 << 47] {
                #expect(code { _ = try Region(sizeBytes: size, donors: [donor.grant(0)]) } == .invalid, "\(size)")
            }
            #expect(code { _ = try Region(sizeBytes: 2 << 20, donors: [donor.grant(0)]) } == .noCapacity)
            #expect(code { _ = try Region(sizeBytes: 1 << 20, donors: []) } == .noCapacity)
            for stripe in [0, 1, 4095, 5000, 4 << 20] {
                #expect(
                    code {
                        _ = try Region(
                            sizeBytes: 1 << 20, RegionOptions(stripeBytes: stripe), donors: [donor.grant(0)])
                    } == .invalid)
            }
            #expect(
                code {
                    _ = try Region(
                        sizeBytes: 4096, RegionOptions(durability: .scratch(folder: "/nonexistent")),
                        donors: [donor.grant(0)])
                } == .invalid)
            #expect(openDescriptors() == openBefore, "a region that cannot be lets go of its donors")
            let region = try Region(sizeBytes: 100_000, donors: [donor.grant(0)])
            for (count, offset) in [(1, 100_000), (1, -1), (100_001, 0), (2, 99_999), (1, Int.max), (1, .min)] {
                #expect(code { try region.put([UInt8](repeating: 1, count: count), at: offset) } == .invalid)
                #expect(code { _ = try region.get(count, at: offset) } == .invalid, "\(count) at \(offset)")
            }
            try region.put([], at: 100_000)
            region.close()
            region.close()
            #expect(code { try region.put([1], at: 0) } == .leaseEnded)
            #expect(code { _ = try region.get(1, at: 0) } == .leaseEnded)
        }

        @Test(arguments: [true, false])
        func manyPiecesAndManyFutures(_ isHere: Bool) throws {
            let lent = try Lent(3, isHere: isHere, sizeBytes: 1 << 20, .cache)
            let region = lent.region
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
            defer { memory.deallocate() }
            memory.copyBytes(from: pattern(1 << 20, at: 0, 4))
            // Gathered from everywhere, with one future for each run of pieces.
            var futures: [RegionFuture] = []
            for run in 0..<32 {
                futures.append(
                    try region.submitPut(
                        (0..<32).map { piece in
                            let offset = (piece * 32 + run) * 1024
                            return (offset, UnsafeRawBufferPointer(rebasing: memory[offset..<offset + 1024]))
                        }))
            }
            for future in futures { try future.wait(timeout: .seconds(5)) }
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            let future = try region.submitGet([
                (0, UnsafeMutableRawBufferPointer(rebasing: memory[(1 << 19)...])),
                (1 << 19, UnsafeMutableRawBufferPointer(rebasing: memory[..<(1 << 19)])),
            ])
            try future.wait(timeout: .seconds(5))
            #expect(future.isDone)
            let bytes = pattern(1 << 20, at: 0, 4)
            #expect(memory[(1 << 19)...].elementsEqual(bytes[..<(1 << 19)]))
            #expect(memory[..<(1 << 19)].elementsEqual(bytes[(1 << 19)...]))
        }

        @Test func threadsShareARegion() throws {
            let lent = try Lent(3, isHere: false, sizeBytes: 1 << 20, .pair)
            let region = lent.region
            let threads = (0..<4).map { number in
                PeerThread {
                    for round in 0..<100 {
                        let offset = number << 18 | round * 999
                        let bytes = pattern(5000, at: offset, round)
                        do {
                            try region.put(bytes, at: offset)
                            if try region.get(5000, at: offset) != bytes {
                                Issue.record("thread \(number) reads others' bytes")
                            }
                        } catch { Issue.record(error) }
                    }
                }
            }
            for thread in threads { thread.join() }
        }

        @Test(arguments: [true, false])
        func whatIsLostIsSaidUntilItIsWritten(_ isHere: Bool) throws {
            let lent = try Lent(2, isHere: isHere, sizeBytes: 1 << 16, .cache)
            let region = lent.region
            try region.put(pattern(1 << 15, at: 0, 1), at: 0)
            try lent.donors[0].revoke()
            // Blocks take turns: the even ones were at donor 0.
            for block in 0..<8 {
                let got = code {
                    let bytes = try region.get(4096, at: block * 4096)
                    #expect(bytes == pattern(4096, at: block * 4096, 1))
                }
                #expect(got == (block % 2 == 0 ? .dataLost : nil), "block \(block)")
            }
            #expect(code { _ = try region.get(1 << 15, at: 0) } == .dataLost)
            #expect(code { try region.put([1], at: 8) } == .dataLost, "the rest of the block is gone")
            #expect(try region.get(4096, at: 1 << 15) == [UInt8](repeating: 0, count: 4096))
            #expect(region.statistics.lostBytes == 4 * 4096 && region.statistics.lostDonors == 1)
            try region.put(pattern(4096, at: 0, 2), at: 0)
            #expect(try region.get(4096, at: 0) == pattern(4096, at: 0, 2))
            #expect(region.statistics.lostBytes == 3 * 4096)
        }

        /// Nobody uses the region, and still what a lost donor held is copied anew before the next is lost.
        @Test(arguments: [true, false])
        func pairsAreMadeAnewByThemselves(_ isHere: Bool) throws {
            let lent = try Lent(4, isHere: isHere, sizeBytes: 1 << 18, .pair)
            let bytes = pattern(1 << 18, at: 0, 3)
            try lent.region.put(bytes, at: 0)
            for donor in 0..<2 {
                try lent.donors[donor].revoke()
                let end = ContinuousClock.now + .seconds(5)
                while lent.region.statistics.lostDonors <= donor || lent.region.statistics.unprotectedBytes > 0,
                    ContinuousClock.now < end
                { usleep(1000) }
                #expect(lent.region.statistics.unprotectedBytes == 0)
            }
            #expect(try lent.region.get(1 << 18, at: 0) == bytes)
            #expect(lent.region.statistics.protectedBlocks > 0 && lent.region.statistics.lostBytes == 0)
        }

        /// Every donor at once, under a durability that survives it.
        @Test func aScratchFileSurvivesEveryDonor() throws {
            let lent = try Lent(3, sizeBytes: 1 << 18, .scratch(folder: "/tmp"))
            let bytes = pattern(1 << 18, at: 0, 3)
            try lent.region.put(bytes, at: 0)
            for donor in lent.donors { try donor.revoke() }
            #expect(try lent.region.get(1 << 18, at: 0) == bytes)
            try lent.region.put([1, 2], at: 100)
            #expect(try lent.region.get(2, at: 100) == [1, 2])
        }

        /// A donor that answers nobody is given up within the patience.
        @Test func aFrozenDonorIsGivenUp() throws {
            let lent = try Lent(3, isHere: false, sizeBytes: 1 << 16, .pair)
            try lent.region.put(pattern(1 << 16, at: 0, 1), at: 0)
            lent.donors[1].freeze()
            defer { lent.donors[1].thaw() }
            let took = try ContinuousClock().measure {
                #expect(try lent.region.get(1 << 16, at: 0) == pattern(1 << 16, at: 0, 1))
                try lent.region.put(pattern(1 << 16, at: 0, 2), at: 0)
            }
            #expect(took > .milliseconds(250) && took < .seconds(2), "\(took)")
            #expect(try lent.region.get(1 << 16, at: 0) == pattern(1 << 16, at: 0, 2))
            #expect(lent.region.statistics.lostDonors == 1)
        }

        /// What happened while nobody looked, because this process was stopped, say, is nobody's silence.
        @Test func timeInWhichNobodyLooksDoesNotCount() throws {
            let lent = try Lent(2, isHere: false, sizeBytes: 1 << 16, .cache)
            try lent.region.put([1], at: 0)
            for donor in lent.donors { donor.freeze() }
            let bytes = pattern(1 << 16, at: 0, 2)
            try bytes.withUnsafeBytes { buffer in
                let future = try lent.region.submitPut([(offset: 0, bytes: buffer)])
                usleep(1_000_000)
                // They answer, but not at once.
                let waker = PeerThread {
                    usleep(100_000)
                    for donor in lent.donors { donor.thaw() }
                }
                try future.wait()
                waker.join()
            }
            #expect(try lent.region.get(1 << 16, at: 0) == bytes)
            #expect(lent.region.statistics.lostDonors == 0)
        }

        @Test func aForkedChildIsTurnedAway() throws {
            let lent = try Lent(2, sizeBytes: 1 << 16, .cache)
            try lent.region.put([1], at: 0)
            typealias Fork = @convention(c) () -> Int32
            let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
            let child = fork()
            if child == 0 { _exit(code { try lent.region.put([2], at: 0) } == .invalid ? 0 : 1) }
            var status: Int32 = 0
            waitpid(child, &status, 0)
            #expect(status == 0)
            #expect(try lent.region.get(1, at: 0) == [1])
        }
    }
}
