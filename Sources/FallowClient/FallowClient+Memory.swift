internal import FallowModel
internal import FallowWire
internal import Glibc

extension FallowClient {
    /// What the agent takes at a time over one connection.
    private static let requestsAtOnce = 16
    /// What a donor is when neither the caller nor the agent says.
    private static let ordinaryDonor = ByteCount.gibibytes(2)

    /// Leases remote memory: donors, asked for several at a time.
    ///
    /// Blocks until all of it is there: every page is allocated by then, tenths of a second a GiB; `options.wait` more when
    /// there is none.
    /// - Returns: one lease a donor, all of one size, in no order.
    /// - Throws: as `lease`. Either all of it is leased or none.
    public func requestMemory(_ options: MemoryOptions) throws(FallowError) -> [DonorLease] {
        try ForkGuard.check()
        try options.check()
        let site = options.donorSize == nil ? try status().donorSize : nil
        let (count, each) = try options.split(defaultDonor: site ?? Self.ordinaryDonor)
        let demand = options.demand(for: each)
        let timeout = options.wait + .seconds(30)
        var waiting: [UInt64] = []
        var asked = 0
        var donors: [DonorLease] = []
        var failure: FallowError?
        while failure == nil && asked < count || !waiting.isEmpty {
            do throws(FallowError) {
                while failure == nil, asked < count, waiting.count < Self.requestsAtOnce {
                    waiting.append(try agent.begin(LocalRequest(id: 0, kind: .lease, lease: demand)))
                    asked += 1
                }
                let answer = try agent.answer(
                    to: waiting.removeFirst(), .lease, until: monotonicNanoseconds() + timeout.nanoseconds)
                donors.append(try DonorLease(answer: answer, asked: each, client: self))
            } catch {
                if failure == nil { failure = error }
            }
        }
        if let failure {
            for donor in donors { try? donor.release() }
            throw failure
        }
        return donors
    }
}
