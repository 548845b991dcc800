import FallowModel
import FallowTransport
import Glibc
import Testing
import TransportShm
import TransportTesting

extension TransportTests {
    /// What a borrower sees of a donor that goes in the middle: an error within the bound, never other bytes than were there.
    @Suite struct MemoryFaultTests {
        enum Fault: String, CaseIterable { case revoked, died }

        @Test(arguments: MemoryTransport.allCases, Fault.allCases)
        func aLostDonorIsAnErrorInTime(_ transport: MemoryTransport, _ fault: Fault) throws {
            struct Check: MemoryCheck {
                let fault: Fault
                let mode: WaitMode
                let bound: Duration
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    let bytes = memoryPattern(1 << 20, at: 0, 3)
                    try borrower.put(bytes, at: 0, mode)
                    #expect(try borrower.get(1 << 20, at: 0, mode) == bytes)
                    let clock = ContinuousClock()
                    nonisolated(unsafe) var gone: ContinuousClock.Instant?
                    let start = clock.now
                    let killer = PeerThread { [fault] in
                        usleep(30_000)
                        if fault == .revoked { try? donor.revoke() } else { try? donor.die() }
                        gone = clock.now
                    }
                    var lost: TransportError?
                    while lost == nil, clock.now - start < .seconds(5) {
                        do {
                            // Whatever is read without an error is what was written.
                            if try borrower.get(1 << 20, at: 0, mode) != bytes {
                                Issue.record("other bytes than written")
                            }
                            try borrower.put(bytes, at: 0, mode)
                        } catch let error as TransportError { lost = error }
                    }
                    let seen = clock.now
                    killer.join()
                    #expect(lost == .peerLost)
                    let end = try #require(gone)
                    #expect(seen < end + bound)
                    // Nothing failed before the donor did.
                    #expect(seen > start + .milliseconds(30))
                    // No access succeeds afterwards.
                    #expect(throws: TransportError.peerLost) { _ = try borrower.get(10, at: 0) }
                    #expect(throws: TransportError.peerLost) { try borrower.put([1], at: 0) }
                    if let memory = donor.memory {
                        #expect(memory.residentBytes <= 4096)
                        var byte: UInt8 = 0
                        #expect(pread(memory.descriptor, &byte, 1, 4096) == 0)
                        #expect(pwrite(memory.descriptor, &byte, 1, 4096) < 0)
                    }
                }
            }
            for mode in [WaitMode.polling, .sleeping] {
                try transport.check(Check(fault: fault, mode: mode, bound: transport.bound))
            }
        }

        /// In flight at the moment of the donor's death: every operation completes, with an error or with its bytes.
        @Test(arguments: MemoryTransport.allCases)
        func whatIsInFlightCompletes(_ transport: MemoryTransport) throws {
            struct Check: MemoryCheck {
                let round: Int
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    let size = 1 << 18
                    try borrower.put(memoryPattern(size, at: 0, 1), at: 0)
                    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size * 32, alignment: 4096)
                    defer { memory.deallocate() }
                    func piece(_ index: Int) -> UnsafeMutableRawBufferPointer {
                        UnsafeMutableRawBufferPointer(rebasing: memory[index * size..<(index + 1) * size])
                    }
                    for index in 0..<32 { try borrower.endpoint.read(into: piece(index), at: 0, token: UInt64(index)) }
                    var completions: [MemoryCompletion] = []
                    while completions.count < round { completions.append(try borrower.next()) }
                    try donor.revoke()
                    while borrower.endpoint.inFlight > 0 { completions.append(try borrower.next(.sleeping)) }
                    #expect(Set(completions.map(\.token)) == Set(0..<32))
                    for completion in completions where completion.error == nil {
                        #expect(piece(Int(completion.token)).elementsEqual(memoryPattern(size, at: 0, 1)))
                    }
                }
            }
            for round in [0, 1, 9] { try transport.check(Check(round: round)) }
        }

        /// Over a network a frozen donor answers nobody, and goes on when it is thawed; given up, it is closed.
        @Test(.enabled(if: MemoryTransport.allCases.contains(.stream))) func aFrozenDonorKeepsNobody() throws {
            struct Check: MemoryCheck {
                let thaws: Bool
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    try borrower.put([1, 2, 3], at: 0)
                    donor.freeze()
                    var bytes: [UInt8] = [0, 0, 0]
                    try bytes.withUnsafeMutableBytes { buffer in
                        try borrower.endpoint.read(into: buffer, at: 0, token: 4)
                        #expect(throws: TransportError.timedOut) {
                            _ = try borrower.next(.sleeping, timeout: .milliseconds(200))
                        }
                        if thaws { donor.thaw() } else { borrower.endpoint.close() }
                        let completion = try borrower.next(.sleeping)
                        #expect(completion == MemoryCompletion(token: 4, error: thaws ? nil : .peerLost))
                    }
                    #expect(bytes == (thaws ? [1, 2, 3] : [0, 0, 0]))
                    donor.thaw()
                    usleep(50_000)
                    #expect(bytes == (thaws ? [1, 2, 3] : [0, 0, 0]))
                }
            }
            for thaws in [true, false] { try MemoryTransport.stream.check(Check(thaws: thaws)) }
        }

        /// More is written than a donor's host takes in for it: it is alive all the same, however long it is stopped.
        @Test(.enabled(if: MemoryTransport.allCases.contains(.stream))) func aDonorThatTakesNothingIsNotLost() throws {
            struct Check: MemoryCheck {
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    let bytes = memoryPattern(1 << 20, at: 0, 3)
                    donor.freeze()
                    try bytes.withUnsafeBytes { buffer in
                        for index in 0..<16 {
                            try borrower.endpoint.write(from: buffer, at: index << 20, token: UInt64(index))
                        }
                        #expect(throws: TransportError.timedOut) {
                            _ = try borrower.next(.sleeping, timeout: .seconds(4))
                        }
                        donor.thaw()
                        for index in 0..<16 {
                            #expect(try borrower.next(.sleeping) == MemoryCompletion(token: UInt64(index), error: nil))
                        }
                    }
                    #expect(try borrower.get(1 << 20, at: 15 << 20) == bytes)
                }
            }
            try MemoryTransport.stream.check(Check())
        }

        /// The wire is cut: nobody answers any more, and nobody says so.
        @Test(.enabled(if: MemoryTransport.allCases.contains(.stream) && Wire.isPossible))
        func aSilentHostIsLost() throws {
            for mode in [WaitMode.polling, .sleeping] {
                let wire = try Wire()
                let donor = try Donor(.streamOver(wire), capacityBytes: 1 << 20)
                var borrower = Borrower(try donor.streamEndpoint())
                try borrower.put([1, 2, 3], at: 0)
                try wire.cut()
                var bytes: [UInt8] = [0, 0, 0]
                try bytes.withUnsafeMutableBytes { buffer in
                    try borrower.endpoint.read(into: buffer, at: 0, token: 4)
                    let began = ContinuousClock.now
                    #expect(try borrower.next(mode).error == .peerLost)
                    let took = began.duration(to: .now)
                    #expect(took > .seconds(1) && took < .seconds(3), "\(took)")
                }
            }
        }

        /// A device serves whatever its donor does.
        @Test(.enabled(if: RDMAHere.isThere, "no RDMA device on this machine")) func aFrozenDonorServesOverVerbs()
            throws
        {
            struct Check: MemoryCheck {
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    donor.freeze()
                    try borrower.put([1, 2, 3], at: 0)
                    #expect(try borrower.get(3, at: 0, .sleeping) == [1, 2, 3])
                    donor.thaw()
                }
            }
            try MemoryTransport.verbs.check(Check())
        }

        @Test(.enabled(if: RDMAHere.isThere, "no RDMA device on this machine"))
        func nobodyElseIsLetInOverVerbs() throws {
            let donor = try Donor(.verbs(bindAddress: RDMAHere.server), capacityBytes: 1 << 20)
            let source = RDMAHere.source
            #expect(throws: TransportError.refused) {
                _ = try donor.verbsEndpoint(from: source, secret: Array(repeating: 8, count: 32)).depth
            }
            #expect(throws: TransportError.refused) {
                _ = try donor.verbsEndpoint(from: source, lease: LeaseID(2)).depth
            }
            #expect(throws: TransportError.refused) {
                _ = try donor.verbsEndpoint(from: source, capacityBytes: 1 << 21).depth
            }
            // It is none the worse, and when its borrower has gone another may come.
            for _ in 0..<2 {
                var borrower = Borrower(try donor.verbsEndpoint(from: source))
                try borrower.put([5], at: 77)
                #expect(try borrower.get(1, at: 77) == [5])
                #expect(throws: TransportError.refused) { _ = try donor.verbsEndpoint(from: source).depth }
                borrower.endpoint.close()
                usleep(500_000)
            }
        }

        /// On this node nobody's help is needed: a frozen donor is as good as any other, until its agent says no.
        @Test func aFrozenDonorHereServes() throws {
            struct Check: MemoryCheck {
                func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws {
                    var borrower = Borrower(endpoint)
                    donor.freeze()
                    try borrower.put([1, 2, 3], at: 0)
                    #expect(try borrower.get(3, at: 0) == [1, 2, 3])
                    donor.memory?.markEnded(4)
                    #expect(donor.memory?.endedReason == 4)
                    #expect(throws: TransportError.peerLost) { _ = try borrower.get(3, at: 0) }
                }
            }
            try MemoryTransport.shm.check(Check())
        }
    }
}
