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

    init(limit: Int = .max) { self.limit = limit }

    func answer(_ session: PlayedAgent.Session, _ request: LocalRequest) -> Bool {
        switch request.kind {
        case .status:
            session.send(
                LocalReply(
                    id: request.id, kind: .status,
                    status: AgentStatus(
                        node: NodeName("here"), version: "1", leases: 0, controllerReachable: true,
                        donorSize: .mebibytes(2))))
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
