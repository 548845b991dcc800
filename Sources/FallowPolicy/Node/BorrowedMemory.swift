public import FallowModel
public import FallowWire

/// What the jobs of a node borrow (`--remote-mem`): what is to be asked for, what waits, who has it, what goes back. Pure, with the
/// time as an argument; the agent carries out what it says.
///
/// Memory is asked for when a job's step says so, waits for a program of the job that takes it, and goes back when the job ends. What
/// a program took ends with that program, and with nothing here.
public struct BorrowedMemory: Sendable {
    /// What a job said: `--remote-mem=64G,durable`.
    public struct Wish: Sendable, Hashable, Codable {
        public var memory: ByteCount
        public var isDurable: Bool
        public init(memory: ByteCount, isDurable: Bool) {
            self.memory = memory
            self.isDurable = isDurable
        }
    }

    /// One asking: all of it or nothing. Its outcome comes back with `onAsked`.
    public struct Asking: Sendable, Hashable {
        public var number: UInt64
        public var jobID: JobID
        public var user: UserID
        public var donors: Int
        public var each: ByteCount
        public var wait: Duration
    }

    public enum Directive: Sendable, Hashable {
        case ask(Asking)
        case giveBack([LeaseID])
        case renew([LeaseID])
    }

    /// A lease that was had for a job.
    public struct Lease: Sendable, Hashable {
        public var leaseID: LeaseID
        public var memory: ByteCount
        public var termEnds: Timestamp
        public init(leaseID: LeaseID, memory: ByteCount, termEnds: Timestamp) {
            self.leaseID = leaseID
            self.memory = memory
            self.termEnds = termEnds
        }
    }

    /// What becomes of a program that wants what waits for its job.
    public enum Adoption: Sendable, Hashable {
        /// It is the program's now; none: there is nothing for it, and it may ask by itself.
        case take([LeaseID], isDurable: Bool)
        /// It is being asked for: decide again after the next `onAsked`.
        case wait
        /// Why there is nothing.
        case refuse(String)
    }

    struct Held: Sendable {
        var lease: Lease
        var isAdopted = false
        var renewAt: Timestamp
    }

    struct Borrower: Sendable {
        var user: UserID
        var wish: Wish
        /// Of one size, so that a program can stripe over them.
        var each: ByteCount
        var held: [LeaseID: Held] = [:]
        var asking: Asking?
        var refusal: String?

        func amount(adopted: Bool) -> ByteCount {
            held.values.reduce(.zero) { $1.isAdopted == adopted ? $0 + $1.lease.memory : $0 }
        }
        var lacking: ByteCount {
            let coming = asking.map { ByteCount($0.each.bytes * Int64($0.donors)) } ?? .zero
            return wish.memory - amount(adopted: true) - amount(adopted: false) - coming
        }
    }

    /// A renewal that failed is tried again so much later.
    static let renewalPause: Duration = .seconds(5)

    let donorSize: ByteCount
    var borrowers: [JobID: Borrower] = [:]
    private var lastAsking: UInt64 = 0

    /// - Parameter donorSize: the most that one donor holds.
    public init(donorSize: ByteCount) { self.donorSize = donorSize }

    public func borrows(_ jobID: JobID) -> Bool { borrowers[jobID] != nil }

    /// What each job wishes, and whose it is.
    public var wishes: [JobID: (user: UserID, wish: Wish)] {
        borrowers.mapValues { (user: $0.user, wish: $0.wish) }
    }

    // MARK: Events

    /// A step of a job says that it borrows. The largest word of a job's steps counts; what is lacking is asked for anew.
    public mutating func onStep(_ jobID: JobID, user: UserID, _ wish: Wish) -> [Directive] {
        var directives: [Directive] = []
        // An id that comes with another user is another job, whose predecessor's end was lost.
        if let known = borrowers[jobID], known.user != user { directives += onJobEnd(jobID) }
        if borrowers[jobID] == nil {
            let each = LeaseDemand.split(wish.memory, largest: donorSize).each
            borrowers[jobID] = Borrower(user: user, wish: wish, each: each)
        } else if let known = borrowers[jobID]?.wish {
            let memory = max(known.memory, wish.memory)
            borrowers[jobID]?.wish = Wish(memory: memory, isDurable: known.isDurable || wish.isDurable)
        }
        return directives + ask(for: jobID, wait: .zero)
    }

    /// What became of an asking: leases, or why there are none.
    public mutating func onAsked(
        _ asking: Asking, _ outcome: Result<[Lease], WireError>, now: Timestamp
    ) -> [Directive] {
        guard borrowers[asking.jobID]?.asking == asking else {
            guard case .success(let leases) = outcome, !leases.isEmpty else { return [] }
            return [.giveBack(leases.map(\.leaseID))]
        }
        borrowers[asking.jobID]?.asking = nil
        switch outcome {
        case .failure(let error): borrowers[asking.jobID]?.refusal = error.message
        case .success(let leases):
            borrowers[asking.jobID]?.refusal = nil
            for lease in leases {
                borrowers[asking.jobID]?.held[lease.leaseID] = Held(
                    lease: lease, renewAt: now + (lease.termEnds - now) / 2)
            }
        }
        return []
    }

    /// A program of the job, proven to be one, wants what waits.
    ///
    /// - Parameters:
    ///   - wanted: so much, or what there is; nil: all that the job said, which is asked for when it is not there.
    ///   - mayAsk: whether it may be asked for on this occasion; a program that has waited for one asking has not.
    public mutating func onAdoption(
        by jobID: JobID, wanted: ByteCount?, wait: Duration, mayAsk: Bool
    ) -> (Adoption, [Directive]) {
        guard let borrower = borrowers[jobID] else { return (.refuse("job \(jobID) did not say --remote-mem"), []) }
        if borrower.asking != nil { return (.wait, []) }
        let waiting = borrower.held.values.filter { !$0.isAdopted }.sorted {
            $0.lease.leaseID.number < $1.lease.leaseID.number
        }
        var taken: [LeaseID] = []
        var sum = ByteCount.zero
        for held in waiting where wanted.map({ sum < $0 }) ?? true {
            taken.append(held.lease.leaseID)
            sum += held.lease.memory
        }
        if wanted == nil {
            if borrower.lacking > .zero {
                let directives = mayAsk ? ask(for: jobID, wait: wait) : []
                if !directives.isEmpty { return (.wait, directives) }
                return (.refuse(borrower.refusal ?? "the memory of job \(jobID) was taken back by its nodes"), [])
            }
            if taken.isEmpty {
                return (.refuse("all \(borrower.wish.memory) of job \(jobID) are in use by a program of it"), [])
            }
        }
        for id in taken { borrowers[jobID]?.held[id]?.isAdopted = true }
        return (.take(taken, isDurable: borrower.wish.isDurable), [])
    }

    /// A lease is over, for whatever reason.
    public mutating func onLeaseEnd(_ leaseID: LeaseID, _ reason: LeaseEnd) {
        for (jobID, borrower) in borrowers {
            guard let held = borrower.held[leaseID] else { continue }
            borrowers[jobID]?.held[leaseID] = nil
            if !held.isAdopted {
                borrowers[jobID]?.refusal = "\(held.lease.memory) of it were taken back (\(reason.rawValue))"
            }
        }
    }

    public mutating func onRenewed(_ leaseID: LeaseID, termEnds: Timestamp, now: Timestamp) {
        for jobID in borrowers.keys where borrowers[jobID]?.held[leaseID] != nil {
            borrowers[jobID]?.held[leaseID]?.lease.termEnds = termEnds
            borrowers[jobID]?.held[leaseID]?.renewAt = now + max(.seconds(1), (termEnds - now) / 2)
        }
    }

    /// The job holds nothing on this node any more: what nobody took goes back; what is being asked for will, when it comes.
    public mutating func onJobEnd(_ jobID: JobID) -> [Directive] {
        guard let borrower = borrowers.removeValue(forKey: jobID) else { return [] }
        let waiting = borrower.held.values.filter { !$0.isAdopted }.map(\.lease.leaseID)
        return waiting.isEmpty ? [] : [.giveBack(waiting.sorted { $0.number < $1.number })]
    }

    /// Time passes: jobs whose end nobody told are over, terms are to be renewed.
    /// - Parameter running: the node's jobs and whose they are.
    public mutating func onTick(running: [JobID: UserID], now: Timestamp) -> [Directive] {
        var directives: [Directive] = []
        for (jobID, borrower) in borrowers where running[jobID] != borrower.user { directives += onJobEnd(jobID) }
        var due: [LeaseID] = []
        for (jobID, borrower) in borrowers {
            for (id, held) in borrower.held where held.renewAt <= now {
                due.append(id)
                borrowers[jobID]?.held[id]?.renewAt = now + Self.renewalPause
            }
        }
        if !due.isEmpty { directives.append(.renew(due.sorted { $0.number < $1.number })) }
        return directives
    }

    // MARK: What is told

    /// What `FALLOW_REMOTE_MEM_GRANTED` tells the job; nil for one that borrows nothing.
    public func sentence(for jobID: JobID) -> String? {
        guard let borrower = borrowers[jobID] else { return nil }
        let kind = borrower.wish.isDurable ? "durable" : "cache"
        let waiting = borrower.amount(adopted: false)
        let used = borrower.amount(adopted: true)
        if waiting > .zero || used > .zero {
            return "waiting=\(waiting.optionText),used=\(used.optionText),\(kind)"
        }
        // What came of the last asking counts while there is another.
        if borrower.asking != nil, borrower.refusal == nil { return "asked=\(borrower.wish.memory.optionText),\(kind)" }
        return "nothing: \(borrower.refusal ?? "not asked for yet")"
    }

    private mutating func ask(for jobID: JobID, wait: Duration) -> [Directive] {
        guard let borrower = borrowers[jobID], borrower.asking == nil, borrower.lacking > .zero else { return [] }
        lastAsking += 1
        let donors = (borrower.lacking.bytes + borrower.each.bytes - 1) / borrower.each.bytes
        let asking = Asking(
            number: lastAsking, jobID: jobID, user: borrower.user, donors: Int(donors), each: borrower.each, wait: wait)
        borrowers[jobID]?.asking = asking
        return [.ask(asking)]
    }
}
