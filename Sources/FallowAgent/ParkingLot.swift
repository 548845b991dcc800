internal import FallowControl
internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Logging

/// Executors that stand ready, and those being started. Confined to the event loop's thread; the starting itself is not.
///
/// `ParkingPolicy` says how many; one policy for each transport, since what has to be loaded ahead differs.
final class ParkingLot {
    typealias Taker = (Result<ParkedExecutor, any Error>) -> Void

    /// After a lease has begun: first it gets the CPU, then the next executor is started.
    static let replacementDelay: Duration = .milliseconds(50)

    struct Stand {
        var policy: ParkingPolicy
        var ready: [ParkedExecutor] = []
        /// Those that have become a user, or are about to, whose lease is being asked for.
        var engaged: [ParkedExecutor] = []
        /// Being started.
        var births = 0
        /// Leases that wait for one.
        var takers: [Taker] = []

        /// Those that are for no lease yet.
        var standing: Int { ready.count + engaged.count + max(0, births - takers.count) }

        mutating func remove(_ one: ParkedExecutor) {
            ready.removeAll { $0 === one }
            engaged.removeAll { $0 === one }
        }
    }

    private let birth: ExecutorBirth
    private let loop: EventLoop
    private let log: Logger
    private let maximum: Int
    private let pool = BlockingPool(name: "fallow.births", threads: 2, limit: 1024)
    private(set) var stands: [TransportKind: Stand] = [:]
    private var conditions: (mayLend: Bool, memoryPressurePercent: Double?) = (false, nil)
    private var isClosed = false
    private var settleIsDue = false

    /// - Parameter maximum: how many of a kind stand ready at most.
    init(birth: ExecutorBirth, maximum: Int, loop: EventLoop, log: Logger) {
        self.birth = birth
        self.maximum = maximum
        self.loop = loop
        self.log = log
    }

    /// How many stand ready.
    var readyCount: Int { stands.values.reduce(0) { $0 + $1.ready.count } }
    /// How many are being started; they end as soon as they are there, once the lot is closed.
    var birthCount: Int { stands.values.reduce(0) { $0 + $1.births } }
    /// The processes that stand ready.
    var readyProcesses: [Int32] { stands.values.flatMap { $0.ready.map(\.process.pid) } }
    /// The processes that have become a user, or are about to, ahead of his lease.
    var engagedProcesses: [Int32] { stands.values.flatMap { $0.engaged.map(\.process.pid) } }

    /// An executor for a lease: one that has become its user already or stands ready, at once, or one that is started now.
    ///
    /// - Parameter taker: called once, on the loop: with an executor that is the taker's from then on, or why there is none.
    func take(_ kind: TransportKind, for identity: UserIdentity, _ taker: @escaping Taker) {
        stand(kind) { $0.policy.onLease(now: .current()) }
        settleSoon()
        while let one = takeEngaged(kind, identity) ?? takeReady(kind) {
            one.unwatch()
            if one.process.checkExit() == nil { return taker(.success(one)) }
            one.end()
        }
        guard !isClosed else { return taker(.failure(WireError(.unavailable, "the agent is stopping"))) }
        stand(kind) { $0.takers.append(taker) }
        if stand(kind, { $0.births < $0.takers.count }) { start(kind) }
    }

    /// A lease of the user will be asked for in a moment, most likely: an executor is started now unless one is there.
    func expect(_ kind: TransportKind, for user: UserID) {
        let isWanted = stand(kind) {
            $0.ready.isEmpty && $0.births <= $0.takers.count && $0.policy.isOpen
                && !$0.engaged.contains { $0.isFree(for: user) }
        }
        if isWanted, maximum > 0 { start(kind) }
    }

    private func takeReady(_ kind: TransportKind) -> ParkedExecutor? {
        // Any will do: what one has not loaded ahead, it loads later.
        for other in [kind] + stands.keys.filter({ $0 != kind }) {
            if let one = stand(other, { $0.ready.isEmpty ? nil : $0.ready.removeFirst() }) { return one }
        }
        return nil
    }

    /// Takes back one that got no assignment after all.
    func giveBack(_ one: ParkedExecutor) {
        guard one.engagement == nil else { return one.end() }
        park(one, one.prepares ?? .shm)
    }

    /// Once a second.
    func tick(mayLend: Bool, memoryPressurePercent: Double?) {
        for kind in stands.keys {
            stand(kind) { $0.policy.onConditions(mayLend: mayLend, memoryPressurePercent: memoryPressurePercent) }
        }
        conditions = (mayLend, memoryPressurePercent)
        endEngagements()
        settle()
    }

    /// Ends all; none is started any more.
    func close() {
        isClosed = true
        for kind in stands.keys {
            for one in stand(kind, { $0.ready + $0.engaged }) { one.end() }
            stand(kind) { stand in
                stand.ready = []
                stand.engaged = []
            }
        }
    }

    func stand<Value>(_ kind: TransportKind, _ body: (inout Stand) -> Value) -> Value {
        if stands[kind] == nil {
            var policy = ParkingPolicy(rules: .init(maximum: maximum))
            policy.onConditions(
                mayLend: conditions.mayLend, memoryPressurePercent: conditions.memoryPressurePercent)
            stands[kind] = Stand(policy: policy)
        }
        return body(&stands[kind]!)
    }

    private func settleSoon() {
        guard !settleIsDue else { return }
        settleIsDue = true
        loop.after(Self.replacementDelay) { [weak self] in self?.settle() }
    }

    /// Starts and ends what the policy wants.
    private func settle() {
        settleIsDue = false
        guard !isClosed else { return }
        for kind in stands.keys {
            let change = stand(kind) { $0.policy.change(standing: $0.standing, now: .current()) }
            for _ in 0..<change.start { start(kind) }
            // Those that are being started are seen to when they are there.
            for _ in 0..<change.end {
                guard let one = stand(kind, { $0.ready.popLast() ?? $0.engaged.popLast() }) else { break }
                log.debug(
                    "a parked executor ends", metadata: ["pid": "\(one.process.pid)", "kind": "\(kind.rawValue)"])
                one.end()
            }
        }
    }

    private func start(_ kind: TransportKind) {
        stand(kind) { $0.births += 1 }
        let (birth, pool, loop) = (birth, pool, loop)
        let door = LoopDoor(loop, self)
        Task {
            let result: Result<BornExecutor, any Error>
            do {
                result = .success(
                    try await pool.run(timeout: .seconds(30), "starting an executor") {
                        try birth.start(preparing: kind)
                    })
            } catch { result = .failure(error) }
            door.tell { $0.born(result, kind) }
        }
    }

    private func born(_ result: Result<BornExecutor, any Error>, _ kind: TransportKind) {
        let outcome = Result { try ParkedExecutor(result.get(), prepares: kind, loop: loop) }
        stand(kind) { $0.births -= 1 }
        let taker = stand(kind) { $0.takers.isEmpty ? nil : $0.takers.removeFirst() }
        if case .failure(let error) = outcome {
            log.error("an executor cannot be started", metadata: ["error": "\(error)"])
            stand(kind) { $0.policy.onLost(now: .current()) }
        }
        if let taker { return taker(outcome) }
        guard case .success(let one) = outcome else { return }
        park(one, kind)
    }

    private func park(_ one: ParkedExecutor, _ kind: TransportKind) {
        guard !isClosed else { return one.end() }
        one.wasParked = true
        do {
            try one.watch(
                onReady: { [weak self] in self?.stand(kind) { $0.policy.onReady() } },
                onLoss: { [weak self, weak one] why in
                    if let one { self?.lost(one, kind, why) }
                })
            stand(kind) { $0.ready.append(one) }
        } catch {
            log.error("a parked executor cannot be watched", metadata: ["error": "\(error)"])
            one.end()
        }
        // More than wanted may have come: what was started ahead of a lease that went elsewhere.
        settleSoon()
    }

    /// One that stood ready has died: another takes its place when the policy says so.
    func lost(_ one: ParkedExecutor, _ kind: TransportKind, _ why: WireError?) {
        stand(kind) { stand in
            stand.remove(one)
            // Its user may kill one that has become him: that says nothing of starting, and slows nobody else's.
            if one.engagement?.hasEntered != true { stand.policy.onLost(now: .current()) }
        }
        if let why { log.error("a parked executor cannot go on", metadata: ["error": "\(why)"]) }
        log.debug("a parked executor died", metadata: ["pid": "\(one.process.pid)"])
        one.end()
        settleSoon()
    }
}
