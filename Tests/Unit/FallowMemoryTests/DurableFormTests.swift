import FallowClient
import FallowMemory
import FallowModel
import FallowTestSupport
import FallowWire
import Synchronization
import Testing
import TransportShm

/// An agent that has one set of donors waiting for the caller's job, in memory that no job holds, and a second one or not.
private final class JobsAgent: Sendable {
    /// What comes of asking for donors that avoid the first ones.
    enum SecondSet { case beneathAJob, noCapacity, refused }

    let second: SecondSet
    let files = Mutex<[DonorMemory]>([])
    let demands = Mutex<[LeaseDemand]>([])
    let released = Mutex<Set<LeaseID>>([])
    static let waiting = LeaseID(100)

    init(_ second: SecondSet) { self.second = second }

    func answer(_ session: PlayedAgent.Session, _ request: LocalRequest) -> Bool {
        switch (request.kind, request.leaseID) {
        case (.status, _):
            session.send(
                LocalReply(
                    id: request.id, kind: .status,
                    status: AgentStatus(
                        node: NodeName("here"), version: "1", leases: 0, controllerReachable: true,
                        donorSize: .mebibytes(4), remoteMemory: "waiting=4M,used=0,durable")))
        case (.adopt, nil):
            session.send(
                LocalReply(
                    id: request.id, kind: .adopted,
                    adopted: AdoptedLeases(
                        leaseIDs: demands.withLock { $0.isEmpty } ? [Self.waiting] : [], isDurable: true)))
        case (.adopt, let id?): lease(session, request, id, NodeName("n1"), beneath: nil)
        case (.userfaultfd, _): return false
        case (.lease, _):
            demands.withLock { $0.append(request.lease!) }
            switch second {
            case .beneathAJob: lease(session, request, LeaseID(7), NodeName("n2"), beneath: JobID(9))
            case .noCapacity:
                session.send(LocalReply(id: request.id, kind: .error, error: WireError(.noCapacity, "all avoided")))
            case .refused: session.send(LocalReply(id: request.id, kind: .error, error: WireError(.refused, "no")))
            }
        case (.release, let id):
            released.withLock { _ = $0.insert(id!) }
            session.send(LocalReply(id: request.id, kind: .released, leaseID: id))
        case (.renew, _): return false
        }
        return true
    }

    private func lease(
        _ session: PlayedAgent.Session, _ request: LocalRequest, _ id: LeaseID, _ node: NodeName, beneath: JobID?
    ) {
        guard let file = try? DonorMemory(capacityBytes: 4 << 20) else { return }
        files.withLock { $0.append(file) }
        session.send(
            LocalReply(
                id: request.id, kind: .leased,
                lease: LeaseOpened(
                    leaseID: id, node: node, kind: .memory, workers: 0, memory: .mebibytes(4),
                    termEnds: Timestamp(secondsSinceEpoch: 1), transport: .shm, address: nil,
                    secret: String(repeating: "ab", count: 32), slotCount: 0, inputBytes: 0, outputBytes: 0,
                    pool: beneath.map { LendingPool(beneath: $0) } ?? .unallocated)),
            descriptors: [file.descriptor])
    }
}

/// What a durable region becomes in a job for which one set of donors waits.
@Suite struct DurableFormTests {
    private func region(
        _ second: JobsAgent.SecondSet, _ durability: Durability, _ body: (Region, JobsAgent) throws -> Void
    ) throws {
        let job = JobsAgent(second)
        let agent = try PlayedAgent { session, request, _ in job.answer(session, request) }
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        defer { client.close() }
        let region = try client.region(sizeBytes: 4 << 20, RegionOptions(durability: durability))
        try region.put([1, 2, 3], at: 3 << 20)
        try body(region, job)
        region.close()
    }

    @Test(arguments: [Durability.durable(folder: "/tmp"), .pair])
    func aSecondSetElsewhereMakesPairs(_ durability: Durability) throws {
        try region(.beneathAJob, durability) { region, job in
            #expect(region.durability == .pair && region.statistics.donors == 2)
            // What waited is the first set, and the second avoids it.
            #expect(job.demands.withLock { $0.map(\.avoid) } == [[JobsAgent.waiting]])
            // Either donor alone holds what was written.
            try job.files.withLock { $0.removeFirst() }.reclaim()
            #expect(try region.get(3, at: 3 << 20) == [1, 2, 3])
        }
    }

    @Test func withoutASecondSetTheOtherCopyIsInAFile() throws {
        try region(.noCapacity, .durable(folder: "/tmp")) { region, job in
            #expect(region.durability == .scratch(folder: "/tmp") && region.statistics.donors == 1)
            try job.files.withLock { $0.removeFirst() }.reclaim()
            #expect(try region.get(3, at: 3 << 20) == [1, 2, 3])
        }
    }

    @Test func pairsAloneAreAClearErrorAndHoldNothing() throws {
        let job = JobsAgent(.noCapacity)
        let agent = try PlayedAgent { session, request, _ in job.answer(session, request) }
        defer { agent.stop() }
        let client = try FallowClient.connect(socketPath: agent.socketPath)
        defer { client.close() }
        let error = #expect(throws: FallowError.self) {
            _ = try client.region(sizeBytes: 4 << 20, RegionOptions(durability: .pair))
        }
        #expect(error?.code == .noCapacity && error?.message.contains("no second set of donors") == true)
        let deadline = ContinuousClock.now + .seconds(5)
        while job.released.withLock({ $0 }) != [JobsAgent.waiting], ContinuousClock.now < deadline {}
        #expect(job.released.withLock { $0 } == [JobsAgent.waiting])
    }

    /// Only a want of capacity is a reason for the other form.
    @Test func whatIsRefusedIsSaid() throws {
        let error = #expect(throws: FallowError.self) {
            try region(.refused, .durable(folder: "/tmp")) { _, _ in }
        }
        #expect(error?.code == .refused)
    }
}
