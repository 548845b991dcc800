public import FallowModel
internal import Glibc

/// What a vacate achieved.
public struct Vacated: Sendable, Hashable {
    /// Nothing of these runs any more: their CPUs and memory are free.
    public var emptied: [LeaseID]
    /// What could not be killed in time, with its processes. They are frozen: kept off the CPUs as far as the kernel can.
    public var stuck: [LeaseID: [Int32]]

    public init(emptied: [LeaseID], stuck: [LeaseID: [Int32]] = [:]) {
        self.emptied = emptied
        self.stuck = stuck
    }
}

extension CgroupTree {
    /// Before it, each process is signalled by itself; from then on a cgroup in which new ones still appear is killed as a whole.
    private static let signalsAloneNanoseconds: Int64 = 1_000_000
    /// After it, every cgroup that is not empty is killed as a whole.
    private static let patienceNanoseconds: Int64 = 50_000_000

    /// Ends leases: kills everything in all of them first, then waits until all are empty. Blocks, at most for the span given.
    ///
    /// Folders are left for `LeaseCgroup.remove()`. A lease without a folder counts as emptied.
    public func vacate(_ leases: [LeaseID], within span: Duration) -> Vacated {
        let deadline = monotonicNanoseconds() + span.nanoseconds
        var remaining = leases.map { cgroup(for: $0) }
        var emptied: [LeaseID] = []
        // The dying go first, before the jobs for a moment and before the leases that stay.
        topWeight.deathsBegin()
        defer { topWeight.deathsEnd() }
        var signalled: Set<Int32> = []
        for cgroup in remaining {
            cgroup.signal(except: &signalled)
            guard let folder = cgroup.folder(with: .cpu) else { continue }
            let weight = CgroupWeight(hierarchy: folder.hierarchy, folder: folder.path)
            weight.raise()
            weight.liftQuota()
        }
        let began = monotonicNanoseconds()
        var nextKill = began + Self.signalsAloneNanoseconds
        while !remaining.isEmpty {
            remaining.removeAll { cgroup in
                guard cgroup.isEmpty else { return false }
                emptied.append(cgroup.lease)
                return true
            }
            let now = monotonicNanoseconds()
            guard !remaining.isEmpty, now < deadline else { break }
            // What was forked meanwhile, or had just been about to join.
            let escaped = remaining.filter { $0.signal(except: &signalled) > 0 }
            if now >= nextKill {
                // Families that fork faster than they are signalled; after a while also what is only slow to die.
                let slow = now >= began + Self.patienceNanoseconds
                for cgroup in slow ? remaining : escaped { cgroup.kill() }
                nextKill = now + 5_000_000
            }
            sleep(microseconds: 100)
        }
        var stuck: [LeaseID: [Int32]] = [:]
        for cgroup in remaining {
            try? cgroup.freeze()
            stuck[cgroup.lease] = cgroup.processes
        }
        return Vacated(emptied: emptied, stuck: stuck)
    }
}
