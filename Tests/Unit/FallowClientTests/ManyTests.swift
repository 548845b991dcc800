import CFallow
import FallowClient
import FallowTestSupport
import Foundation
import Synchronization
import Testing
import libfallow

/// Batches, many callers on few workers, and waiting for whichever comes first.
@Suite(.serialized) struct ManyTests {
    private func withLease(
        workers: Int, slots: Int, fabric: Bool = false, _ body: (Lease) throws -> Void
    ) throws {
        let agent = try PlayedAgent(transport: fabric ? .fabric : .shm)
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = LeaseOptions()
        options.cpus = workers
        options.slotCount = slots
        options.inputBytes = 4096
        options.outputBytes = 4096
        try body(try client.lease(library: TestLibrary.path("plain"), options))
    }
    private func little(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }

    @Test(arguments: [false, true]) func aBatchIsSpreadAndAnsweredWhole(fabric: Bool) throws {
        try withLease(workers: 2, slots: 16, fabric: fabric) { lease throws in
            for round in UInt32(0)..<20 {
                let inputs = (UInt32(0)..<32).map { little(round * 100 + $0) }
                let futures = try lease.submit("echo", all: inputs)
                #expect(futures.count == 32)
                try Future.waitAll(futures, timeout: .seconds(10))
                for (future, input) in zip(futures, inputs) { #expect(try future.wait().output == input) }
            }
            // More than there are slots: the first ones start.
            let many = try lease.submit("echo", all: (UInt32(0)..<50).map { little($0) })
            #expect((32...50).contains(many.count))
            for (index, future) in many.enumerated() {
                #expect(try future.wait(timeout: .seconds(5)).output == little(UInt32(index)))
            }
            #expect(throws: FallowError.self) { try lease.submit("echo", all: []) }
            #expect(throws: FallowError.self) {
                try lease.submit("echo", all: [[1], [UInt8](repeating: 0, count: 4097)])
            }
        }
    }

    @Test func twoSleepsInABatchOnTwoWorkersTakeTheTimeOfOne() throws {
        try withLease(workers: 2, slots: 4) { lease throws in
            for future in try lease.submit("nap", all: [little(0), little(0)]) {
                _ = try future.wait(timeout: .seconds(5))
            }
            let start = ContinuousClock.now
            let futures = try lease.submit("nap", all: [little(400), little(400)])
            try Future.waitAll(futures, timeout: .seconds(5))
            #expect(ContinuousClock.now - start < .milliseconds(700))
        }
    }

    /// Calls beyond the slots wait in their order, and are sent by whoever takes an answer in.
    @Test func moreCallersThanSlotsAllGetTheirTurn() throws {
        try withLease(workers: 1, slots: 2) { lease throws in
            _ = try lease.invoke("nap", little(0), timeout: .seconds(5))
            let wrong = Atomic<Int>(0)
            let calls = Atomic<Int>(0)
            let fewest = Atomic<Int>(.max)
            let end = ContinuousClock.now + .milliseconds(800)
            let group = DispatchGroup()
            for thread in 0..<24 {
                group.enter()
                Thread {
                    var own = 0
                    while ContinuousClock.now < end {
                        let payload = withUnsafeBytes(of: thread << 32 | own, Array.init)
                        if (try? lease.invoke("echo", payload, timeout: .seconds(20)).output) != payload {
                            wrong.add(1, ordering: .relaxed)
                        }
                        own += 1
                    }
                    calls.add(own, ordering: .relaxed)
                    fewest.min(own, ordering: .relaxed)
                    group.leave()
                }.start()
            }
            #expect(group.wait(timeout: .now() + 30) == .success)
            #expect(wrong.load(ordering: .relaxed) == 0)
            #expect(fewest.load(ordering: .relaxed) > 0, "a caller had no turn in 0.8 s")
        }
    }

    @Test func theFirstOfSeveralWorkersWakesTheWaiter() throws {
        try withLease(workers: 3, slots: 4) { lease throws in
            for future in try lease.submit("nap", all: [little(0), little(0), little(0)]) {
                _ = try future.wait(timeout: .seconds(5))
            }
            let futures = try lease.submit("nap", all: [little(600), little(150), little(600)])
            let start = ContinuousClock.now
            #expect(try Future.waitAny(futures, timeout: .seconds(5)) == 1)
            #expect(ContinuousClock.now - start < .milliseconds(500))
            #expect(throws: FallowError.self) { try Future.waitAny([futures[0]], timeout: .milliseconds(20)) }
            try Future.waitAll(futures, timeout: .seconds(5))
        }
    }

    /// `fieldsUnknown`: as a program built before the last fields were there.
    @Test(arguments: [0, 1, 2]) func fromC(fieldsUnknown: Int) throws {
        let agent = try PlayedAgent()
        defer { agent.stop() }
        var client: OpaquePointer?
        var lease: OpaquePointer?
        try #require(fallow_connect(agent.socketPath, &client) == 0)
        defer { fallow_close(client) }
        var options = fallow_lease_options()
        options.size = UInt32(MemoryLayout<fallow_lease_options>.stride - 8 * fieldsUnknown)
        options.slots = 8
        if fieldsUnknown > 0 { options.poll_seconds = .infinity }
        if fieldsUnknown > 1 { options.buffers = .max }
        try #require(fallow_lease_open(client, TestLibrary.path("plain"), &options, &lease) == 0)
        defer { fallow_lease_close(lease) }
        let input = UnsafeMutablePointer<UInt32>.allocate(capacity: 12)
        let output = UnsafeMutablePointer<UInt32>.allocate(capacity: 12)
        defer {
            input.deallocate()
            output.deallocate()
        }
        for index in 0..<12 { input[index] = UInt32(index) &* 77 }
        let items = (0..<12).map {
            fallow_item(input: input + $0, input_size: 4, output: output + $0, output_capacity: 4)
        }
        var futures = [OpaquePointer?](repeating: nil, count: 12)
        var started = 99
        #expect(fallow_submit_many(lease, "echo", items, 8, &futures, &started) == 0 && started == 8)
        #expect(fallow_wait_all(futures, 8, 5) == 0)
        for index in 0..<8 {
            var size = 0
            #expect(fallow_wait(futures[index], &size, nil, 0) == 0 && size == 4 && output[index] == input[index])
            fallow_future_free(futures[index])
        }
        let invalid = Int32(FALLOW_INVALID.rawValue)
        #expect(fallow_submit_many(lease, "echo", nil, 1, &futures, &started) == invalid)
        #expect(fallow_submit_many(lease, "echo", items, 0, &futures, &started) == invalid && started == 0)
        #expect(fallow_submit_many(nil, "echo", items, 1, &futures, &started) == invalid)
        #expect(
            fallow_submit_many(lease, "absent", items, 1, &futures, &started) == 0
                && fallow_wait(futures[0], nil, nil, 5) == Int32(FALLOW_UNKNOWN_FUNCTION.rawValue))
        fallow_future_free(futures[0])
        let full = fallow_submit_many(lease, "nap", items, 12, &futures, &started)
        #expect(full == Int32(FALLOW_FULL.rawValue) && (8..<12).contains(started) && futures[11] == nil)
        for future in futures { fallow_future_free(future) }
    }
}
