public import FallowModel
internal import FallowWire
internal import Glibc

/// Memory that waited for this process's job, and is this process's now.
public struct AdoptedMemory: Sendable {
    public var leases: [DonorLease]
    /// Whether the job said `durable`.
    public var isDurable: Bool
}

extension FallowClient {
    private static let fetchesAtOnce = 16

    /// Takes what waits for this process's job (`sbatch --remote-mem`). The agent sees by itself which job that is.
    ///
    /// Blocks while it is being asked for: seconds at most when the job has just begun; and `wait` more where all of it is wanted and
    /// not there.
    /// - Parameters:
    ///   - size: at least so much of it, in whole donors, as far as it is there; nil: all that the job said.
    ///   - wait: how long to wait for capacity.
    /// - Returns: nil: this process is in no job that said `--remote-mem`. With a size there may be less, or nothing.
    /// - Throws: `.noCapacity` when all of it is wanted and not to be had, or in use by another program of the job; as `lease`.
    public func adoptMemory(_ size: ByteCount?, wait: Duration = .zero) throws(FallowError) -> AdoptedMemory? {
        try ForkGuard.check()
        guard try status().remoteMemory != nil else { return nil }
        let id = try agent.begin(
            LocalRequest(id: 0, kind: .adopt, memory: size, waitSeconds: max(0, wait.inSeconds)))
        // Each asking has its own bound at the agent; one may be under way already.
        let answer = try agent.answer(
            to: id, .adopt, until: monotonicNanoseconds() + (wait + .seconds(120)).nanoseconds)
        for descriptor in answer.descriptors { Glibc.close(descriptor) }
        guard answer.reply.kind == .adopted, let adopted = answer.reply.adopted else {
            throw FallowError(.internalError, "the node's agent answered 'adopt' with '\(answer.reply.kind.rawValue)'")
        }
        return AdoptedMemory(leases: try fetch(adopted.leaseIDs), isDurable: adopted.isDurable)
    }

    /// The leases themselves, several at a time. Either all of them or none.
    private func fetch(_ ids: [LeaseID]) throws(FallowError) -> [DonorLease] {
        var rest = ids[...]
        var waiting: [(number: UInt64, id: LeaseID)] = []
        var leases: [DonorLease] = []
        var failure: FallowError?
        while failure == nil && !rest.isEmpty || !waiting.isEmpty {
            do throws(FallowError) {
                while failure == nil, let id = rest.first, waiting.count < Self.fetchesAtOnce {
                    waiting.append((try agent.begin(LocalRequest(id: 0, kind: .adopt, leaseID: id)), id))
                    rest.removeFirst()
                }
                let next = waiting.removeFirst()
                let answer = try agent.answer(
                    to: next.number, .adopt, until: monotonicNanoseconds() + Duration.seconds(10).nanoseconds)
                leases.append(try DonorLease(answer: answer, asked: LeaseDemand.smallestDonor, client: self))
            } catch {
                if failure == nil { failure = error }
            }
        }
        guard let failure else { return leases }
        for id in ids { agent.post(.release, leaseID: id) }
        throw failure
    }
}
