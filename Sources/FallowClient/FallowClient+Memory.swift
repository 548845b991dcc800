internal import FallowModel
internal import FallowWire
internal import Glibc

extension FallowClient {
    /// What the agent takes at a time over one connection.
    private static let requestsAtOnce = 16
    /// What a donor is when neither the caller nor the agent says.
    private static let ordinaryDonor = ByteCount.gibibytes(2)

    /// Leases remote memory: donors, asked for several at a time. In a job that said `--remote-mem` what waits for it comes first
    /// (`MemoryOptions.adopts`), and only the rest is asked for.
    ///
    /// Blocks until all of it is there: every page is allocated by then, tenths of a second a GiB; `options.wait` more when
    /// there is none.
    /// - Returns: one lease a donor, in no order; those that were asked for are of one size.
    /// - Throws: as `lease`. Either all of it is leased or none.
    public func requestMemory(_ options: MemoryOptions) throws(FallowError) -> [DonorLease] {
        try ForkGuard.check()
        try options.check()
        var options = options
        let agent = options.donorSize == nil || options.mayAdopt ? try status() : nil
        guard options.mayAdopt, agent?.remoteMemory != nil, options.size > .zero,
            // What is wrong there is no reason to go without: it is asked for as if there were nothing.
            let adopted = try? adoptMemory(options.size, wait: options.wait)?.leases
        else { return try ask(options, site: agent?.donorSize) }
        let rest = adopted.reduce(options.size) { $0 - ByteCount($1.capacityBytes) }
        guard rest > .zero else { return adopted }
        options.size = rest
        do throws(FallowError) { return adopted + (try ask(options, site: agent?.donorSize)) } catch {
            for donor in adopted { try? donor.release() }
            throw error
        }
    }

    /// /dev/userfaultfd, opened by the node's agent: given to a pager (`fallow_pager.h`: `userfaultfd_device`), it lets system calls
    /// touch what is not here, without a pin.
    /// - Returns: a descriptor, close-on-exec and the caller's to close.
    /// - Throws: `.refused` where the site does not hand it out, `.internalError` where the kernel has none.
    public func userfaultfdDevice() throws(FallowError) -> Int32 {
        try ForkGuard.check()
        let answer = try agent.exchange(.userfaultfd, timeout: .seconds(5))
        guard answer.reply.kind == .userfaultfd, answer.descriptors.count == 1 else {
            for descriptor in answer.descriptors { Glibc.close(descriptor) }
            throw FallowError(
                .internalError, "the node's agent answered 'userfaultfd' with '\(answer.reply.kind.rawValue)'")
        }
        return answer.descriptors[0]
    }

    private func ask(_ options: MemoryOptions, site: ByteCount?) throws(FallowError) -> [DonorLease] {
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
