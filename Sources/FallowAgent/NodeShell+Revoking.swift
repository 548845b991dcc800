internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Logging

extension NodeShell {
    /// Longest that a revocation waits for killed processes to be gone.
    static let vacateTimeout: Duration = .milliseconds(200)

    /// Ends leases: tells both sides, kills everything in their cgroups, waits until all are empty, takes their memory back.
    ///
    /// Blocks for the time that the kernel needs to kill (tenths of milliseconds a process), at most `vacateTimeout`.
    /// - Returns: processes that did not die; they are frozen and their cores withheld.
    @discardableResult
    func revoke(_ ids: [LeaseID], _ reason: LeaseEnd, detail: String? = nil) -> Int {
        withdrawStarting(ids, reason)
        let going = ids.compactMap { executors.removeValue(forKey: $0) }
        guard !going.isEmpty else { return 0 }
        let now = now
        ledger.advance(to: now, as: policy)
        for executor in going {
            executor.arena?.markEnded(reason.number)
            executor.donor?.markEnded(reason.number)
        }
        let vacated = tree.vacate(going.map(\.cgroup.lease), within: Self.vacateTimeout)
        for executor in going {
            let stuck = vacated.stuck[executor.cgroup.lease]
            finish(executor, reason, stuck == nil ? detail : "processes did not die: \(stuck!)", at: now)
            policy.close(executor.leaseID, stuck: stuck != nil, reclaiming: executor.donor != nil)
            if let stuck {
                log.critical(
                    "processes did not die; frozen, their cores withheld",
                    metadata: ["lease": "\(executor.leaseID)", "pids": "\(stuck)"])
            }
        }
        onChange()
        // What stays withheld may leave other leases without the room they were given.
        if !vacated.stuck.isEmpty { loop.after(.zero) { [weak self] in self?.tick() } }
        return vacated.stuck.values.reduce(0) { $0 + $1.count }
    }

    private func finish(_ executor: RunningExecutor, _ reason: LeaseEnd, _ detail: String?, at now: Timestamp) {
        for token in executor.watches { loop.cancel(token) }
        executor.watches = []
        countUse(of: executor)
        executor.control.close()
        outbox.add(LeaseEnded(lease: executor.report, at: now, reason: reason, detail: detail))
        log.info(
            "lease ended",
            metadata: [
                "lease": "\(executor.leaseID)", "user": "\(executor.grant.user)", "reason": "\(reason.rawValue)",
                "detail": "\(detail ?? "-")",
            ])
        if let start = executor.opening {
            executor.opening = nil
            start.finish(.failure(Self.endedEarly(reason)))
        } else {
            onLeaseEnd(executor, reason, detail)
        }
        // Pages cost time, about 0.1 s a GiB, and whoever waits for the cores need not wait for them.
        if let memory = executor.donor { return takeBack(memory, of: executor) }
        loop.after(.zero) { [weak self] in self?.reclaimArena(of: executor) }
        bury(executor)
    }

    /// Leases that have no executor yet: nothing of them runs.
    private func withdrawStarting(_ ids: [LeaseID], _ reason: LeaseEnd) {
        for id in ids {
            guard let start = starting.removeValue(forKey: id) else { continue }
            let now = now
            ledger.advance(to: now, as: policy)
            policy.close(id)
            refused(start.grant, at: now, as: reason, "it had no executor yet")
            start.finish(.failure(Self.endedEarly(reason)))
        }
    }

    private static func endedEarly(_ reason: LeaseEnd) -> WireError {
        WireError(.unavailable, "the lease ended before its executor was ready: \(reason.rawValue)")
    }

    private func reclaimArena(of executor: RunningExecutor) {
        do { try executor.arena?.reclaim() } catch {
            log.error("an arena's memory was not taken back", metadata: ["error": "\(error)"])
        }
    }

    /// Reaps the process and removes the folder; again a little later while that is not possible yet.
    func bury(_ executor: RunningExecutor) {
        let reaped = executor.process.checkExit() != nil
        let removed = (try? executor.cgroup.remove()) != nil
        executor.output.close()
        if reaped, removed {
            executor.process.close()
            dying[executor.leaseID] = nil
        } else {
            dying[executor.leaseID] = executor
            loop.after(.milliseconds(20)) { [weak self] in self?.bury(executor) }
        }
    }

    /// Adds what the lease has used since the last look.
    func countUse(of executor: RunningExecutor) {
        let used = executor.cgroup.usage().cpu
        guard used > executor.usedCPU else { return }
        ledger.recovered(cpuSeconds: (used - executor.usedCPU).inSeconds)
        executor.usedCPU = used
    }
}
