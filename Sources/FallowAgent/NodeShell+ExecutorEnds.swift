internal import FallowHost
internal import FallowLocal
internal import FallowModel
internal import FallowPolicy
internal import FallowWire
internal import Glibc
internal import Logging

/// How executors and donors end by themselves, and what takes their place.
extension NodeShell {
    /// An executor that never entered its lease has run nothing of the user's: another takes its place, and nobody is told. So it is
    /// with one that somebody killed while it loaded the library.
    func tryAnother(_ executor: RunningExecutor, _ start: LeaseStart, after exit: ProcessExit? = nil) -> Bool {
        let wasKilled = exit == .signaled(number: SIGKILL) && executor.cgroup.usage().oomKills == 0
        guard !executor.hasEntered || wasKilled, start.mayTryAnother else { return false }
        log.notice(
            "an executor died before its lease; another takes its place", metadata: ["lease": "\(executor.leaseID)"])
        executors[executor.leaseID] = nil
        executor.opening = nil
        for token in executor.watches { loop.cancel(token) }
        executor.watches = []
        executor.control.close()
        executor.cgroup.kill()
        bury(executor)
        starting[executor.leaseID] = start
        findExecutor(for: start)
        return true
    }

    /// The client, or its agent, gives a lease back. One whose executor died before that word came ends with the reason of
    /// that death: a client that lost its executor gives the lease back at once, often before the death was seen here.
    func giveBack(_ id: LeaseID, _ reason: LeaseEnd) {
        if let executor = executors[id], !executor.isLeaving, executor.hasEntered {
            switch executor.process.checkExit() {
            case .exited(code: 0): break
            case .some: return exited(id)
            // How it dies is not known yet: an executor whose client left ends by itself. Out of memory is known already.
            case nil where executor.cgroup.processes.isEmpty && executor.cgroup.usage().oomKills > 0:
                return exited(id)
            case nil: break
            }
        }
        revoke([id], reason)
    }

    /// The executor's process, or its end of the control socket, is gone.
    func exited(_ id: LeaseID) {
        guard let executor = executors[id] else { return }
        let grant = executor.grant
        let exit = executor.process.checkExit()
        if exit == .exited(code: 0), !executor.isLeaving {
            // Its clients left. Their agent's word on it, released or gone, is usually on its way.
            executor.isLeaving = true
            for token in executor.watches { loop.cancel(token) }
            executor.watches = [loop.after(.milliseconds(300)) { [weak self] in self?.revoke([id], .clientGone) }]
            return
        }
        if let start = executor.opening, tryAnother(executor, start, after: exit) { return }
        let outOfMemory = executor.cgroup.usage().oomKills > 0
        let how = exit.map { "the executor \($0)" } ?? "the executor closed its control socket"
        let detail = how + (executor.output.lastLine.map { "; it last said: \($0)" } ?? "")
        let start = executor.opening
        executor.opening = nil
        revoke([id], outOfMemory ? .outOfMemory : .executorDied, detail: detail)
        if let start, start.isDonor {
            let why = outOfMemory ? "its memory was not to be had" : detail
            return start.finish(.failure(WireError(.noCapacity, "\(name): a donor ended before it lent: \(why)")))
        }
        let why =
            outOfMemory
            ? "\(grant.demand.memory) of memory was used up while the library was loaded: ask for more"
            : "the library could not be loaded: \(detail)"
        start?.finish(
            .failure(
                executor.hasEntered
                    ? WireError(.libraryUnusable, why)
                    : WireError(.internalError, "\(name): the executor did not enter its lease: \(detail)")))
    }
}
