import FallowTransport
import FallowWire
import Testing
import TransportTesting

extension TransportTests {
    /// What every transport has to do, between two threads. A new transport is done when it passes.
    @Suite struct ConformanceTests {
        @Test(arguments: Transport.allCases, [WaitMode.polling, .sleeping])
        func everySizeArrivesWhole(_ transport: Transport, _ mode: WaitMode) throws {
            struct Check: PairCheck {
                let mode: WaitMode
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    let capacity = client.outgoingCapacityBytes - 64
                    let ending = try withEcho(client: client, executor: executor, mode: mode) { caller in
                        for bytes in [0, 1, 63, 64, 65, 4095, 4096, 4097, capacity - 1, capacity] {
                            for _ in 0..<10 {
                                try caller.send(bytes)
                                try caller.receive(bytes, mode)
                            }
                        }
                    }
                    #expect(ending == .peerLost)
                }
            }
            try transport.pair(Check(mode: mode))
        }

        @Test(arguments: Transport.allCases)
        func slotsAreUsedInOrderAcrossTheEndOf32Bits(_ transport: Transport) throws {
            struct Check: PairCheck {
                let first: UInt32
                let half: Int
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    let depth = UInt32(client.slotCount)
                    _ = try withEcho(client: client, executor: executor, firstSequence: first) { caller in
                        for _ in 0..<2 * half {
                            if caller.inFlight == depth { try caller.receive(8) }
                            try caller.send(8)
                        }
                        while caller.inFlight > 0 { try caller.receive(8) }
                        #expect(caller.nextReceived == UInt32(half))
                    }
                }
            }
            let half = transport.messages(100_000)
            let first = UInt32(0) &- UInt32(half)
            try transport.pair(Check(first: first, half: half), firstSequence: first)
        }

        @Test(arguments: Transport.allCases)
        func aFullRingSaysSoAndRecovers(_ transport: Transport) throws {
            struct Check: PairCheck {
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    var executor = executor
                    let slots = client.slotCount
                    var caller = Caller(client)
                    for _ in 0..<slots { try caller.send(100) }
                    let next = UInt32(slots)
                    #expect(throws: TransportError.ringFull) { try caller.endpoint.send(sequence: next, byteCount: 64) }
                    try serveEcho(&executor, .polling, count: 1)
                    #expect(throws: TransportError.ringFull, "the reply is there but not consumed") {
                        try caller.endpoint.send(sequence: next, byteCount: 64)
                    }
                    try caller.receive(100)
                    try caller.send(100)
                    try serveEcho(&executor, .polling, count: slots)
                    for _ in 0..<slots { try caller.receive(100) }
                    // An executor has nothing to answer that nobody asked.
                    #expect(throws: TransportError.ringFull) { try executor.send(sequence: next + 1, byteCount: 64) }
                }
            }
            try transport.pair(Check())
        }

        @Test(arguments: Transport.allCases, [1, 2, 1024])
        func everySlotCountWorks(_ transport: Transport, _ slots: Int) throws {
            struct Check: PairCheck {
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    let slots = client.slotCount
                    _ = try withEcho(client: client, executor: executor) { caller in
                        for _ in 0..<3 {
                            for _ in 0..<slots { try caller.send(33) }
                            for _ in 0..<slots { try caller.receive(33) }
                        }
                    }
                }
            }
            try transport.pair(Check(), geometry: ArenaGeometry(slotCount: slots, inputBytes: 64, outputBytes: 64))
        }

        @Test(arguments: Transport.allCases)
        func tooLargeSaysWhatFits(_ transport: Transport) throws {
            struct Check: PairCheck {
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    var client = client
                    let limit = client.outgoingCapacityBytes
                    #expect(limit == 64 + smallGeometry.inputBytes)
                    #expect(throws: TransportError.oversize(limitBytes: limit)) {
                        try client.send(sequence: 0, byteCount: limit + 1)
                    }
                    #expect(throws: TransportError.oversize(limitBytes: limit)) {
                        try client.send(sequence: 0, byteCount: -1)
                    }
                    _ = executor.slotCount
                }
            }
            try transport.pair(Check())
        }

        @Test(arguments: Transport.allCases)
        func eightMebibytesInEverySlot(_ transport: Transport) throws {
            struct Check: PairCheck {
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    let bytes = client.outgoingCapacityBytes - 64
                    _ = try withEcho(client: client, executor: executor, mode: .sleeping) { caller in
                        for _ in 0..<2 { try caller.send(bytes) }
                        for _ in 0..<2 { try caller.receive(bytes, .sleeping) }
                    }
                }
            }
            try transport.pair(
                Check(), geometry: ArenaGeometry(slotCount: 2, inputBytes: 8 << 20, outputBytes: 8 << 20))
        }

        @Test(arguments: Transport.allCases, [WaitMode.sleeping, .mixed])
        func noWakeUpIsLost(_ transport: Transport, _ mode: WaitMode) throws {
            struct Check: PairCheck {
                let rounds: Int
                let mode: WaitMode
                let lost: Duration
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    _ = try withEcho(client: client, executor: executor, mode: mode) { caller in
                        let clock = ContinuousClock()
                        var slow = 0
                        for _ in 0..<rounds {
                            let start = clock.now
                            try caller.send(8)
                            try caller.receive(8, mode)
                            // A lost wake-up would cost a whole slice of the sleep.
                            if clock.now - start > lost { slow += 1 }
                        }
                        // The machine's own hiccups are few; a lost wake-up in a thousand would be a hundred.
                        #expect(
                            slow <= rounds / 2000 + 5, "\(slow) of \(rounds) exchanges took as long as a lost wake-up")
                    }
                }
            }
            let rounds = transport == .shm ? 100_000 : transport == .verbs ? 1_000 : 5_200
            try transport.pair(Check(rounds: rounds, mode: mode, lost: transport.lostWakeUp))
        }

        @Test(arguments: Transport.allCases)
        func sleepingEndsWithItsTimeOut(_ transport: Transport) throws {
            struct Check: PairCheck {
                let slack: Duration
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    var client = client
                    for milliseconds in [0, 1, 150] {
                        let start = ContinuousClock().now
                        let wasWoken = try client.sleep(atMost: .milliseconds(milliseconds))
                        let took = ContinuousClock().now - start
                        #expect(!wasWoken)
                        #expect(took >= .milliseconds(milliseconds) && took < .milliseconds(milliseconds) + slack)
                    }
                    _ = executor.slotCount
                }
            }
            try transport.pair(Check(slack: transport.bound))
        }

        @Test(arguments: Transport.allCases, [WaitMode.polling, .sleeping])
        func aPeerThatClosesIsNoticedAfterItsLastMessage(_ transport: Transport, _ mode: WaitMode) throws {
            struct Check: PairCheck {
                let mode: WaitMode
                let bound: Duration
                func run<E: Endpoint & ~Copyable>(client: consuming E, executor: consuming E) throws {
                    let ending = try withEcho(client: client, executor: executor, mode: mode, count: 3) { caller in
                        // The executor answers three times and goes.
                        for _ in 0..<3 { try caller.send(16) }
                        for _ in 0..<3 { try caller.receive(16, mode) }
                        let took = ContinuousClock().measure {
                            #expect(throws: TransportError.peerLost) { try caller.receive(16, mode) }
                        }
                        #expect(took < bound)
                        caller.endpoint.close()
                        caller.endpoint.close()
                        #expect(throws: TransportError.peerLost) { try caller.send(1) }
                        #expect(throws: TransportError.peerLost) { try caller.receive(1, mode) }
                    }
                    #expect(ending == nil)
                }
            }
            try transport.pair(Check(mode: mode, bound: transport.bound))
        }
    }
}
