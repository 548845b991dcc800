import FallowModel
import FallowPolicy
import FallowWire
import Testing

/// A small generator with a seed, so that a failure can be had again.
struct SplitMix64 {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

@Suite struct AnyOrderOfEvents {
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func keepsEveryPromise(seed: UInt64) throws {
        var node = RandomNode(seed: seed)
        for number in 0..<4000 {
            node.happen()
            let broken = node.brokenPromises()
            #expect(broken == [], "seed \(seed), event \(number): \(node.lastEvent)")
            if !broken.isEmpty { return }
        }
        // The run was about something.
        #expect(node.opened > 80, "opened \(node.opened)")
        #expect(node.openedBeneath > 5, "beneath jobs \(node.openedBeneath)")
        #expect(node.revoked > 30, "revoked \(node.revoked)")
        #expect(node.ledger.integrals.lentCoreSeconds > 0)
    }
}

/// A node to which anything happens in any order, with its own naive account of what may be.
struct RandomNode {
    static let coreCount = 12
    static let window = 10.0
    var random: SplitMix64
    var policy: NodePolicy
    var ledger = UseLedger()
    var clock = 0.0
    var lastEvent = ""
    var nextLease: UInt64 = 1
    var opened = 0
    var openedBeneath = 0
    var revoked = 0
    var mapIsProven: Bool

    // What the promises are checked against.
    private var saidNo: Set<JobID> = []
    private var watchedSince: [JobID: Double] = [:]
    private var lastSampleAt: [JobID: Double] = [:]
    private var used: [JobID: ByteCount] = [:]
    private var cpu: [JobID: Double] = [:]
    private var stuck: [Placement] = []
    private var complaints: [String] = []
    private var naive = NodeIntegrals()
    private var previous = NodeIntegrals()

    init(seed: UInt64) {
        random = SplitMix64(state: seed)
        mapIsProven = seed % 3 != 0
        policy = NodePolicy(
            rules: NodeRules(
                cores: Self.coreCount, memory: gib(64),
                switches: LendingSwitches(unallocated: true, lent: true), window: .seconds(Self.window),
                coresAreLogical: seed % 3 == 1))
        policy.coresAreMapped = mapIsProven
        ledger.advance(to: at(0), as: policy)
        view()
    }

    mutating func happen() {
        complaints = []
        pass(random.chance(2) ? Double(random.below(40)) : Double(random.below(8)) / 4)
        switch random.below(100) {
        case 0..<7: stepStart()
        case 7..<10: jobEnd()
        case 10..<50: sampleAll()
        case 50..<60: view()
        case 60..<61: switches()
        case 61..<69: close(stuck: random.chance(10))
        case 69..<72:
            lastEvent = "what was withheld is dead"
            policy.releaseWithheld()
            stuck = []
        case 72..<73: mapping()
        case 73..<77: tick()
        default: open()
        }
    }

    // MARK: Events

    private mutating func pass(_ seconds: Double) {
        // What the ledger should say, from what the policy knew over this time.
        for lease in policy.leases.values {
            naive.lentCoreSeconds += seconds * Double(Array(lease.placement.cores).count)
            naive.lentByteSeconds += seconds * Double(lease.placement.memory.bytes)
        }
        naive.elapsedSeconds += seconds
        naive.allocatedCoreSeconds += seconds * Double(Set(policy.jobs.values.flatMap { Array($0.cores) }).count)
        naive.allocatedByteSeconds += seconds * policy.jobs.values.map { Double($0.memory.bytes) }.reduce(0, +)
        clock += seconds
        ledger.advance(to: at(clock), as: policy)
    }

    private mutating func carryOut(_ revocations: [Revocation]) {
        if Set(revocations.map(\.leaseID)).count != revocations.count { complaints.append("a lease is revoked twice") }
        var anyStuck = false
        for revocation in revocations {
            guard let lease = policy.leases[revocation.leaseID] else {
                complaints.append("a lease is revoked that does not stand")
                continue
            }
            let isStuck = random.chance(3)
            policy.close(revocation.leaseID, stuck: isStuck)
            if isStuck { stuck.append(lease.placement) }
            revoked += 1
            anyStuck = anyStuck || isStuck
        }
        // What is stuck keeps its memory, so others may have to go in its place; the agent's next tick sees that.
        if anyStuck { carryOut(policy.onTick(now: at(clock))) }
    }

    private mutating func someCores() -> AbstractCoreSet {
        let first = random.below(Self.coreCount + 1)
        return AbstractCoreSet(first..<(first + 1 + random.below(6)))
    }

    private mutating func stepStart() {
        let id = JobID(UInt32(1 + random.below(6)))
        let known = policy.jobs[id]
        let held = known.flatMap { random.chance(80) ? $0.cores : nil } ?? someCores()
        let requests: [ServerlessRequest?] = [
            nil, nil, .no, .auto, .auto,
            .explicit(cores: random.below(4), memory: gib(Int64(random.below(6))), reserve: nil),
            .explicit(cores: random.below(4), memory: nil, reserve: .percent(random.below(101))),
            .explicit(cores: nil, memory: gib(2), reserve: .amount(gib(1))),
        ]
        let user = random.chance(95) ? UserID(1000) : UserID(1001)
        let start = StepStart(
            jobID: id, stepID: random.chance(20) ? .extern : StepID(UInt32(random.below(5))), user: user,
            jobCores: random.chance(4) ? nil : held,
            stepCores: random.chance(30) ? AbstractCoreSet(Array(held).prefix(1 + random.below(3))) : nil,
            memory: random.chance(4) ? .zero : known?.memory ?? gib(Int64(1 + random.below(20))),
            serverless: requests[random.below(requests.count)])
        lastEvent = "step start \(start) at \(clock)"
        if known == nil || known?.user != user { forget(id) }
        if start.serverless == .no { saidNo.insert(id) }
        if start.stepID != .extern { watchedSince[id] = nil }
        carryOut(policy.onStepStart(start, now: at(clock)))
        guard start.stepID != .extern else { return }
        let own = start.jobCores == nil ? policy.rules.allCores : start.stepCores ?? start.jobCores!
        for lease in policy.leases.values where !lease.placement.cores.isDisjoint(with: own) {
            let promised = lease.placement.coresBeneath == id && (start.stepCores ?? own) == (start.jobCores ?? own)
            let narrow = start.stepCores != nil && start.stepCores != start.jobCores
            if narrow || !promised && lease.placement.coresBeneath != id {
                complaints.append("a lease stands on \(lease.placement.cores), where the step may start")
            }
        }
        if !mapIsProven, !policy.leases.isEmpty { complaints.append("a lease outlived a step start, the map unproven") }
    }

    private mutating func forget(_ id: JobID) {
        saidNo.remove(id)
        watchedSince[id] = nil
        used[id] = nil
    }

    private mutating func forgetGone() {
        for id in Set(saidNo).union(watchedSince.keys).union(used.keys) where policy.jobs[id] == nil { forget(id) }
    }

    private mutating func jobEnd() {
        let id = JobID(UInt32(1 + random.below(6)))
        lastEvent = "job \(id) ends at \(clock)"
        carryOut(policy.onJobEnd(id, now: at(clock)))
        forgetGone()
    }

    private mutating func sampleAll() {
        for id in policy.jobs.keys.sorted() where random.chance(97) {
            let idle = id.number % 2 == 0 || random.chance(80)
            cpu[id, default: 0] += idle ? 0.2 : Double(random.below(8))
            let memory = ByteCount(Int64(random.below(idle ? 100 : 4000)) << 20)
            lastEvent = "sample of \(id): \(memory) at \(clock)"
            if let last = lastSampleAt[id], clock - last > Self.window { watchedSince[id] = nil }
            lastSampleAt[id] = clock
            if watchedSince[id] == nil { watchedSince[id] = clock }
            used[id] = memory
            let change = policy.onSample(id, cpuSeconds: cpu[id]!, memory: memory, now: at(clock))
            carryOut(change)
        }
    }

    private mutating func view() {
        var shown: [SlurmJobView] = []
        for job in policy.jobs.values.sorted(by: { $0.jobID < $1.jobID }) where random.chance(98) {
            let state = random.chance(92) ? "RUNNING" : random.chance(50) ? "SUSPENDED" : "COMPLETING"
            shown.append(
                SlurmJobView(
                    jobID: job.jobID, user: job.user, cores: random.chance(90) ? job.cores : someCores(),
                    memory: job.memory, state: state, startedAt: random.chance(5) ? at(clock - 1) : nil,
                    expectedEnd: nil, exclusive: false, nodeCount: 1))
        }
        if random.chance(15) {
            shown.append(seenBySlurm(UInt32(1 + random.below(6)), someCores().description, gib(4)))
        }
        let lag = random.chance(80) ? 0 : Double(random.below(20)) - 4
        let shrinks = random.chance(3)
        let view = SlurmNodeView(
            at: at(clock - lag), state: "MIXED", mayLend: random.chance(97), cores: shrinks ? 8 : Self.coreCount,
            memory: shrinks ? gib(30) : gib(64), jobs: shown)
        lastEvent = "view \(view) at \(clock)"
        let before = policy.jobs
        carryOut(policy.onSlurmView(view, now: at(clock)))
        for (id, job) in policy.jobs {
            if job.suspended || before[id]?.suspended == true { watchedSince[id] = nil }
            if before[id]?.reportedAt != nil, job.reportedAt == nil { forget(id) }
        }
        forgetGone()
        checkAfterTick()
    }

    private mutating func switches() {
        let switches = LendingSwitches(unallocated: random.chance(85), lent: random.chance(90))
        lastEvent = "\(switches)"
        carryOut(policy.onSwitches(switches, now: at(clock)))
        checkAfterTick()
    }

    private mutating func close(stuck isStuck: Bool) {
        lastEvent = "a lease is released, stuck: \(isStuck)"
        guard let id = policy.leases.keys.sorted(by: { $0.number < $1.number }).first else { return }
        if isStuck { stuck.append(policy.leases[id]!.placement) }
        policy.close(id, stuck: isStuck)
        if isStuck { carryOut(policy.onTick(now: at(clock))) }
    }

    private mutating func mapping() {
        guard !policy.rules.coresAreLogical else { return }
        mapIsProven = random.chance(85)
        policy.coresAreMapped = mapIsProven
        lastEvent = "map proven: \(mapIsProven)"
        carryOut(policy.onTick(now: at(clock)))
    }

    private mutating func tick() {
        lastEvent = "tick at \(clock)"
        carryOut(policy.onTick(now: at(clock)))
        checkAfterTick()
    }

    private mutating func checkAfterTick() {
        if policy.standstill(at: at(clock)) != nil, !policy.leases.isEmpty {
            complaints.append("leases at a standstill")
        }
        for (id, lease) in policy.leases {
            if lease.termEnds <= at(clock) { complaints.append("lease \(id) is over its term") }
            let beneath = [lease.placement.coresBeneath, lease.placement.memoryBeneath]
            if !policy.rules.switches.lent, beneath.contains(where: { $0 != nil }) { complaints.append("lent is off") }
            if !policy.rules.switches.unallocated, beneath.contains(nil) { complaints.append("unallocated is off") }
        }
    }

    private mutating func open() {
        let now = at(clock)
        let offer = policy.offer(at: now)
        var trial = policy
        do {
            if policy.standstill(at: now) == nil, !trialPoolsAreEmpty(offer) {
                _ = try trial.open(
                    LeaseID(.max), user: UserID(2000), cores: offer.cores, memory: offer.memory,
                    termEnds: now + .seconds(1),
                    now: now)
            }
        } catch { complaints.append("\(offer) was offered and refused: \(error)") }
        let wanted = (1 + random.below(4), gib(Int64(random.below(6))))
        lastEvent = "open \(wanted) at \(clock), offered \(offer)"
        let placement = try? policy.open(
            LeaseID(nextLease), user: UserID(2000), cores: wanted.0, memory: wanted.1,
            termEnds: now + .seconds(1 + random.below(200)), now: now)
        guard let placement else {
            if wanted.0 <= offer.cores, wanted.1 <= offer.memory { complaints.append("less was given than offered") }
            return
        }
        nextLease += 1
        opened += 1
        if wanted.0 > offer.cores || wanted.1 > offer.memory { complaints.append("more was given than offered") }
        if placement.cores.count != wanted.0 { complaints.append("other cores than wanted") }
        if placement.coresBeneath != nil { openedBeneath += 1 }
        for case let id? in [placement.coresBeneath, wanted.1 > .zero ? placement.memoryBeneath : nil] {
            let request = policy.jobs[id]?.serverless
            let isMeasured: Bool =
                switch request {
                case .auto: true
                case .explicit(let cores, let memory, _):
                    placement.coresBeneath == id && cores == nil || placement.memoryBeneath == id && memory == nil
                default: false
                }
            let since = watchedSince[id] ?? clock
            if isMeasured, placement.coresBeneath == id || placement.memoryBeneath == id, request == .auto,
                clock - since < Self.window
            {
                complaints.append("job \(id) was watched for \(clock - since) s only")
            }
        }
    }

    /// Nothing at all is offered: there may be no place to open even an empty lease in.
    private func trialPoolsAreEmpty(_ offer: Offer) -> Bool { offer == Offer() }

    // MARK: Promises

    mutating func brokenPromises() -> [String] {
        var broken = complaints
        var owners: [Int: LeaseID] = [:]
        let stuckCores = Set(stuck.flatMap { Array($0.cores) })
        for (id, lease) in policy.leases {
            let place = lease.placement
            for core in place.cores {
                if let other = owners[core] { broken.append("core \(core) is leased to \(id) and to \(other)") }
                owners[core] = id
                if core >= policy.rules.cores { broken.append("there is no core \(core)") }
                if stuckCores.contains(core) { broken.append("core \(core) is withheld") }
                for job in policy.jobs.values where job.cores.contains(core) {
                    if job.jobID != place.coresBeneath { broken.append("core \(core) is job \(job.jobID)'s") }
                    if job.serverless == nil || saidNo.contains(job.jobID) || job.suspended || job.reportedAt == nil {
                        broken.append("job \(job.jobID) does not lend")
                    }
                }
            }
            if let beneath = place.coresBeneath,
                !(policy.jobs[beneath]?.cores ?? AbstractCoreSet()).isSuperset(of: place.cores)
            {
                broken.append("lease \(id) stands beyond job \(beneath)'s cores")
            }
            if !lease.isPinned, !policy.jobs.isEmpty { broken.append("a loose lease stands beside a job") }
        }
        broken += brokenMemoryPromises()
        broken += brokenAccounts()
        return broken
    }

    private func brokenMemoryPromises() -> [String] {
        var broken: [String] = []
        var lent: [JobID?: Int64] = [:]
        for lease in policy.leases.values {
            lent[lease.placement.memoryBeneath, default: 0] += lease.placement.memory.bytes
        }
        for place in stuck {
            let pool = place.memoryBeneath.flatMap { policy.jobs[$0] == nil ? nil : $0 }
            lent[pool, default: 0] += place.memory.bytes
        }
        let standing = Set(policy.leases.values.filter { $0.placement.memory > .zero }.map(\.placement.memoryBeneath))
        let held = policy.jobs.values.reduce(0) { $0 + $1.memory.bytes }
        for pool in standing {
            var size = policy.rules.memory.bytes - held
            if let pool {
                guard let job = policy.jobs[pool] else {
                    broken.append("memory of a job that is gone is lent")
                    continue
                }
                size = job.memory.bytes - (used[pool]?.bytes ?? 0)
                if job.serverless == nil || saidNo.contains(pool) || job.suspended || job.reportedAt == nil {
                    broken.append("job \(pool) lends no memory")
                }
            }
            if lent[pool]! > size { broken.append("\(lent[pool]!) bytes are lent of \(size)") }
        }
        if !standing.isEmpty, lent.values.reduce(0, +) > policy.rules.memory.bytes { broken.append("over-lent") }
        return broken
    }

    private mutating func brokenAccounts() -> [String] {
        ledger.advance(to: at(clock), as: policy)
        let now = ledger.integrals
        defer { previous = now }
        let pairs: [KeyPath<NodeIntegrals, Double>] = [
            \.elapsedSeconds, \.allocatedCoreSeconds, \.allocatedByteSeconds, \.lentCoreSeconds, \.lentByteSeconds,
        ]
        return pairs.compactMap { path in
            if now[keyPath: path] < previous[keyPath: path] { return "an integral fell" }
            let difference = abs(now[keyPath: path] - naive[keyPath: path])
            return difference > 1e-6 * max(1, naive[keyPath: path]) ? "an integral is off by \(difference)" : nil
        }
    }
}

extension CoreSet {
    fileprivate func isSuperset(of other: CoreSet) -> Bool { other.isSubset(of: self) }
}
