import FallowClient
import FallowModel
import FallowTestSupport
import FallowWire
import Foundation
import Synchronization
import Testing
import TransportShm

/// An agent that lends memory files, without donors behind them.
private final class LendingAgent: Sendable {
    let files = Mutex<[LeaseID: DonorMemory]>([:])
    let released = Mutex<[LeaseID]>([])
    let demands = Mutex<[LeaseDemand]>([])
    /// From the how manieth request on nothing is to be had.
    let limit: Int
    /// What waits for the caller's job; nil: it is in none.
    let waiting: Mutex<[LeaseID]?>
    let adoptions = Mutex<[ByteCount?]>([])

    init(limit: Int = .max, waiting: [LeaseID]? = nil) {
        self.limit = limit
        self.waiting = Mutex(waiting)
    }

    /// Whole donors of 2 MiB, as many as are wanted.
    private func adopt(_ session: PlayedAgent.Session, _ request: LocalRequest) {
        if let id = request.leaseID {
            guard let file = try? DonorMemory(capacityBytes: 2 << 20), id != LeaseID(666) else {
                session.send(LocalReply(id: request.id, kind: .error, error: WireError(.notFound, "it is over")))
                return
            }
            files.withLock { $0[id] = file }
            session.send(
                LocalReply(id: request.id, kind: .leased, lease: opened(id, .mebibytes(2))),
                descriptors: [file.descriptor])
            return
        }
        adoptions.withLock { $0.append(request.memory) }
        let taken = waiting.withLock { all -> [LeaseID] in
            let count = request.memory.map { Int(($0.bytes + (2 << 20) - 1) / (2 << 20)) } ?? all!.count
            defer { all!.removeFirst(min(count, all!.count)) }
            return Array(all!.prefix(count))
        }
        session.send(
            LocalReply(id: request.id, kind: .adopted, adopted: AdoptedLeases(leaseIDs: taken, isDurable: true)))
    }

    func answer(_ session: PlayedAgent.Session, _ request: LocalRequest) -> Bool {
        switch request.kind {
        case .status:
            session.send(
                LocalReply(
                    id: request.id, kind: .status,
                    status: AgentStatus(
                        node: NodeName("here"), version: "1", leases: 0, controllerReachable: true,
                        donorSize: .mebibytes(2), remoteMemory: waiting.withLock { $0.map { "waiting \($0.count)" } })))
        case .adopt: adopt(session, request)
        case .userfaultfd: return false
        case .release:
            released.withLock { $0.append(request.leaseID!) }
            session.send(LocalReply(id: request.id, kind: .released, leaseID: request.leaseID))
        case .renew:
            session.send(
                LocalReply(
                    id: request.id, kind: .renewed, leaseID: request.leaseID,
                    termEnds: Timestamp(secondsSinceEpoch: request.termSeconds!)))
        case .lease:
            let demand = request.lease!
            let number = demands.withLock {
                $0.append(demand)
                return $0.count
            }
            guard number <= limit, let file = try? DonorMemory(capacityBytes: Int(demand.memory.bytes)) else {
                session.send(LocalReply(id: request.id, kind: .error, error: WireError(.noCapacity, "no more")))
                return true
            }
            let id = LeaseID(UInt64(number))
            files.withLock { $0[id] = file }
            session.send(
                LocalReply(id: request.id, kind: .leased, lease: opened(id, demand.memory)),
                descriptors: [file.descriptor])
        }
        return true
    }

    func opened(_ id: LeaseID, _ memory: ByteCount) -> LeaseOpened {
        LeaseOpened(
            leaseID: id, node: NodeName("here"), kind: .memory, workers: 0, memory: memory,
            termEnds: Timestamp(secondsSinceEpoch: 1), transport: .shm, address: nil,
            secret: String(repeating: "ab", count: 32), slotCount: 0, inputBytes: 0, outputBytes: 0,
            pool: LendingPool(beneath: JobID(7)))
    }
}

@Suite struct MemoryRequestTests {
    private func lent(_ lender: LendingAgent, _ body: (FallowClient) throws -> Void) throws {
        let agent = try PlayedAgent { session, request, _ in lender.answer(session, request) }
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        defer { client.close() }
        try body(client)
    }

    @Test func manyDonorsOfTheSitesSizeComeAtOnce() throws {
        let lender = LendingAgent()
        try lent(lender) { client in
            var options = MemoryOptions(size: .mebibytes(39))
            options.avoiding = [LeaseID(5)]
            options.term = .seconds(9)
            let donors = try client.requestMemory(options)
            // 20 donors of 2 MiB at most: 39 MiB in equal shares of whole blocks.
            #expect(donors.count == 20)
            #expect(Set(donors.map(\.capacityBytes)) == [2 << 20])
            #expect(donors.reduce(0) { $0 + $1.capacityBytes } >= 39 << 20)
            #expect(Set(donors.map(\.id)).count == 20)
            #expect(
                lender.demands.withLock { $0.allSatisfy { $0.kind == .memory && $0.cpus == 0 && $0.termSeconds == 9 } })
            #expect(lender.demands.withLock { $0[0].avoid } == [LeaseID(5)])
            // What one writes the file of its own lease has.
            let donor = donors[3]
            #expect(
                donor.pool == LendingPool(beneath: JobID(7)) && donor.transport == .shm && donor.introduction == nil)
            let file = try donor.duplicateDescriptor()
            defer { close(file) }
            #expect(pwrite(file, "x", 1, off_t(DonorMemoryLayout.controlBytes)) == 1)
            var byte: UInt8 = 0
            let theirs = lender.files.withLock { $0[donor.id]!.descriptor }
            #expect(pread(theirs, &byte, 1, off_t(DonorMemoryLayout.controlBytes)) == 1 && byte == UInt8(ascii: "x"))
            #expect(try donor.renew(term: .seconds(5)) == Timestamp(secondsSinceEpoch: 5))
            try donor.release()
            #expect(lender.released.withLock { $0 } == [donor.id])
            #expect(donor.end == .released)
            #expect(throws: FallowError.self) { try donor.renew(term: .seconds(5)) }
        }
    }

    @Test func whatWaitsForTheJobComesFirstAndTheRestIsAskedFor() throws {
        let lender = LendingAgent(waiting: (100..<103).map { LeaseID($0) })
        try lent(lender) { client in
            let donors = try client.requestMemory(MemoryOptions(size: .mebibytes(9)))
            #expect(donors.reduce(0) { $0 + $1.capacityBytes } >= 9 << 20)
            #expect(Set(donors.map(\.id)).isSuperset(of: (100..<103).map { LeaseID($0) }))
            // 3 MiB are lacking: two donors of 1.5.
            #expect(lender.demands.withLock { $0.map(\.memory) } == [.kibibytes(1536), .kibibytes(1536)])
            // Nothing waits any more; the caller is not the worse for it.
            let more = try client.requestMemory(MemoryOptions(size: .mebibytes(2)))
            #expect(more.count == 1)
            #expect(lender.adoptions.withLock { $0 } == [.mebibytes(9), .mebibytes(2)])
        }
    }

    @Test func whoNamesANodeOrWantsLeasesApartTakesNothingThatWaits() throws {
        let lender = LendingAgent(waiting: [LeaseID(100)])
        try lent(lender) { client in
            var options = MemoryOptions(size: .mebibytes(2))
            options.avoiding = [LeaseID(5)]
            _ = try client.requestMemory(options)
            options = MemoryOptions(size: .mebibytes(2))
            options.adopts = false
            _ = try client.requestMemory(options)
            #expect(lender.adoptions.withLock { $0 }.isEmpty && lender.demands.withLock { $0.count } == 2)
        }
    }

    @Test func allThatTheJobSaidIsTakenOrNothing() throws {
        let lender = LendingAgent(waiting: [LeaseID(100), LeaseID(101)])
        try lent(lender) { client in
            let adopted = try #require(try client.adoptMemory(nil))
            #expect(adopted.isDurable && Set(adopted.leases.map(\.id)) == [LeaseID(100), LeaseID(101)])
            #expect(adopted.leases.allSatisfy { $0.capacityBytes == 2 << 20 && $0.end == nil })
        }
        let broken = LendingAgent(waiting: [LeaseID(7), LeaseID(666)])
        try lent(broken) { client in
            #expect(throws: FallowError.self) { try client.adoptMemory(nil) }
            // The one that came is given back; and what came of it cannot be used.
            _ = try client.status()
            #expect(broken.released.withLock { $0.contains(LeaseID(7)) })
        }
        let none = LendingAgent()
        try lent(none) { client in
            let adopted = try client.adoptMemory(nil)
            #expect(adopted == nil)
            #expect(none.adoptions.withLock { $0 }.isEmpty)
        }
    }

    @Test func theControlPageTellsOfTheEndAtOnce() throws {
        let lender = LendingAgent()
        try lent(lender) { client in
            let donors = try client.requestMemory(MemoryOptions(size: .mebibytes(4)))
            #expect(donors.allSatisfy { $0.end == nil })
            #expect(donors[0].reclaimedWord?.pointee == 0)
            let file = lender.files.withLock { $0[donors[0].id]! }
            file.markEnded(LeaseEnd.reclaimed.number)
            #expect(donors[0].end == .reclaimed && donors[1].end == nil)
            try file.reclaim()
            #expect(donors[0].reclaimedWord?.pointee == 1)
            // Nothing is said to an agent about a lease that it ended.
            try donors[0].release()
            #expect(lender.released.withLock { $0 }.isEmpty)
        }
    }

    @Test func theAgentsWordComesTo() throws {
        let lender = LendingAgent()
        let agent = try PlayedAgent { session, request, _ in
            let answered = lender.answer(session, request)
            if request.kind == .lease {
                session.send(LocalReply(kind: .ended, leaseID: LeaseID(1), reason: .withdrawn))
            }
            return answered
        }
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        let donor = try client.requestMemory(MemoryOptions(size: .mebibytes(1)))[0]
        #expect(donor.waitForEnd(atMost: .seconds(5)) == .withdrawn)
    }

    @Test func allOrNone() throws {
        let lender = LendingAgent(limit: 17)
        try lent(lender) { client in
            let error = #expect(throws: FallowError.self) {
                try client.requestMemory(MemoryOptions(size: .mebibytes(40)))
            }
            #expect(error?.code == .noCapacity)
            #expect(lender.released.withLock { Set($0) } == Set((1...17).map { LeaseID(UInt64($0)) }))
        }
    }

    @Test func whatIsNoMemory() throws {
        let lender = LendingAgent()
        try lent(lender) { client in
            func code(_ change: (inout MemoryOptions) -> Void) -> FallowError.Code? {
                var options = MemoryOptions(size: .mebibytes(1))
                change(&options)
                do {
                    _ = try client.requestMemory(options)
                    return nil
                } catch { return error.code }
            }
            let codes = [
                code { $0.size = .zero }, code { $0.size = ByteCount(-1) }, code { $0.size = ByteCount(Int64.max) },
                code { $0.size = .gibibytes(1 << 19) }, code { $0.donorSize = .gibibytes(5) },
                code { $0.donorSize = ByteCount(4096) }, code { $0.wait = .seconds(-1) },
                code { $0.avoiding = (0...1024).map { LeaseID($0) } },
            ]
            #expect(codes == Array(repeating: .invalid, count: 8))
            #expect(lender.demands.withLock { $0.isEmpty })
        }
    }

    /// Answers that make no sense are refused, and what they stand for is given back.
    @Test(arguments: 0..<4) func nonsense(kind: Int) throws {
        let lender = LendingAgent()
        let agent = try PlayedAgent { session, request, _ in
            guard request.kind == .lease else { return lender.answer(session, request) }
            let file = try! DonorMemory(capacityBytes: 2 << 20)
            var opened = lender.opened(LeaseID(1), .mebibytes(2))
            var descriptors = [file.descriptor]
            switch kind {
            case 0: opened.kind = .functions
            case 1: opened.memory = .mebibytes(1)
            case 2: descriptors = []
            default: descriptors = [0]
            }
            session.send(LocalReply(id: request.id, kind: .leased, lease: opened), descriptors: descriptors)
            return true
        }
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        var options = MemoryOptions(size: .mebibytes(2))
        options.donorSize = .mebibytes(2)
        let error = #expect(throws: FallowError.self) { try client.requestMemory(options) }
        #expect(error?.code == .internalError)
        let deadline = ContinuousClock.now + .seconds(5)
        while lender.released.withLock({ $0.isEmpty }), ContinuousClock.now < deadline { usleep(1000) }
        #expect(lender.released.withLock { $0 } == [LeaseID(1)])
    }
}
