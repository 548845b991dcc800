import FallowModel
import FallowTransport
import Glibc
import Testing
import TransportShm
import TransportTesting

extension TransportTests {
    /// What every way to a donor's memory has to do.
    @Suite struct MemoryConformanceTests {
        @Test(arguments: MemoryTransport.allCases, [WaitMode.polling, .sleeping])
        func whatWasWrittenIsRead(_ transport: MemoryTransport, _ mode: WaitMode) throws {
            struct Check: MemoryCheck {
                let mode: WaitMode
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    let sizes = [1, 7, 64, 4096, 4097, 16384, 16385, 65536, 1 << 20, 8 << 20]
                    for (version, size) in sizes.enumerated() {
                        for offset in [0, 1, 4095, donor.capacityBytes - size] {
                            let bytes = memoryPattern(size, at: offset, version)
                            try borrower.put(bytes, at: offset, mode)
                            #expect(try borrower.get(size, at: offset, mode) == bytes, "\(size) bytes at \(offset)")
                        }
                    }
                    // Neighbours stay as they are.
                    try borrower.put(memoryPattern(300, at: 0, 1), at: 1000, mode)
                    try borrower.put([9], at: 1100, mode)
                    var expected = memoryPattern(300, at: 0, 1)
                    expected[100] = 9
                    #expect(try borrower.get(300, at: 1000, mode) == expected)
                }
            }
            try transport.check(Check(mode: mode))
        }

        @Test(arguments: MemoryTransport.allCases)
        func rangesBeyondTheMemoryAreRefused(_ transport: MemoryTransport) throws {
            struct Check: MemoryCheck {
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    let limit = TransportError.oversize(limitBytes: donor.capacityBytes)
                    for (count, offset) in [
                        (8, donor.capacityBytes - 7), (1, donor.capacityBytes), (1, -1), (1, .max), (1, .min), (0, 0),
                        (donor.capacityBytes + 1, 0),
                    ] {
                        let bytes = [UInt8](repeating: 1, count: count)
                        #expect(throws: limit, "\(count) bytes at \(offset)") { try borrower.put(bytes, at: offset) }
                        #expect(throws: limit) { _ = try borrower.get(count, at: offset) }
                    }
                    let inFlight = borrower.endpoint.inFlight
                    #expect(inFlight == 0)
                    try borrower.put([1], at: donor.capacityBytes - 1)
                }
            }
            try transport.check(Check(), capacityBytes: 1 << 16)
        }

        @Test(arguments: MemoryTransport.allCases)
        func manyAtOnceAndNoMoreThanTheDepth(_ transport: MemoryTransport) throws {
            struct Check: MemoryCheck {
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    let depth = borrower.endpoint.depth
                    #expect(depth == 64)
                    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: depth * 4096, alignment: 4096)
                    defer { memory.deallocate() }
                    for round in 0..<20 {
                        memory.copyBytes(from: memoryPattern(memory.count, at: 0, round))
                        let piece = { (index: Int) in
                            UnsafeMutableRawBufferPointer(rebasing: memory[index * 4096..<(index + 1) * 4096])
                        }
                        for index in 0..<depth {
                            try borrower.endpoint.write(
                                from: UnsafeRawBufferPointer(piece(index)), at: index * 8192, token: UInt64(index))
                        }
                        #expect(throws: TransportError.ringFull) {
                            try borrower.endpoint.read(into: piece(0), at: 0, token: 99)
                        }
                        var seen: Set<UInt64> = []
                        for _ in 0..<depth { seen.insert(try borrower.next().token) }
                        #expect(seen == Set(0..<UInt64(depth)))
                        memory.initializeMemory(as: UInt8.self, repeating: 0)
                        for index in 0..<depth {
                            try borrower.endpoint.read(into: piece(index), at: index * 8192, token: UInt64(index))
                        }
                        for _ in 0..<depth { #expect(try borrower.next(.sleeping).error == nil) }
                        #expect(memory.elementsEqual(memoryPattern(memory.count, at: 0, round)))
                    }
                }
            }
            try transport.check(Check())
        }

        @Test(arguments: MemoryTransport.allCases)
        func aClosedEndpointIsOverAndItsOperationsToo(_ transport: MemoryTransport) throws {
            struct Check: MemoryCheck {
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    try borrower.put([1, 2, 3], at: 0)
                    let isOver = borrower.endpoint.isOver
                    borrower.endpoint.close()
                    borrower.endpoint.close()
                    let isOverNow = borrower.endpoint.isOver
                    #expect(!isOver && isOverNow)
                    #expect(throws: TransportError.peerLost) { _ = try borrower.get(3, at: 0) }
                }
            }
            try transport.check(Check())
        }

        /// Over the network alone: with shared memory whoever has the descriptor is in.
        @Test(.enabled(if: MemoryTransport.allCases.contains(.stream))) func nobodyElseIsLetIn() throws {
            let donor = try Donor(isHere: false, capacityBytes: 1 << 20)
            #expect(throws: TransportError.refused) {
                _ = try donor.streamEndpoint(secret: Array(repeating: 8, count: 32)).depth
            }
            #expect(throws: TransportError.refused) { _ = try donor.streamEndpoint(lease: LeaseID(2)).depth }
            #expect(throws: TransportError.refused) { _ = try donor.streamEndpoint(capacityBytes: 1 << 21).depth }
            // It is none the worse, and when its borrower has gone another may come.
            for _ in 0..<2 {
                var borrower = Borrower(try donor.streamEndpoint())
                try borrower.put([5], at: 77)
                #expect(try borrower.get(1, at: 77) == [5])
                #expect(throws: TransportError.refused) { _ = try donor.streamEndpoint().depth }
                borrower.endpoint.close()
                usleep(200_000)
            }
        }

        @Test func onlyADonorsFileIsAdopted() throws {
            let memory = try DonorMemory(capacityBytes: 1 << 16)
            func adopt(_ descriptor: CInt, _ capacityBytes: Int = 1 << 16) throws {
                _ = try ShmMemoryEndpoint(adopting: descriptor, capacityBytes: capacityBytes).depth
            }
            try adopt(dup(memory.descriptor))
            #expect(throws: ShmArenaError.self) { try adopt(dup(memory.descriptor), 1 << 17) }
            #expect(throws: ShmArenaError.self) { try adopt(open("/dev/zero", O_RDWR)) }
            #expect(throws: ShmArenaError.self) { try adopt(-1) }
            pwrite(memory.descriptor, "x", 1, 0)
            #expect(throws: ShmArenaError.self) { try adopt(dup(memory.descriptor)) }
            for bytes in [0, -1, 100, 1 << 41] {
                #expect(throws: ShmArenaError.self) { _ = try DonorMemory(capacityBytes: bytes) }
            }
        }
    }
}
