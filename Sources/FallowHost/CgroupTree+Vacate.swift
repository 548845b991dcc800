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
    /// Ends leases: kills everything in all of them first, then waits until all are empty. Blocks, at most for the span given.
    ///
    /// Folders are left for `LeaseCgroup.remove()`. A lease without a folder counts as emptied.
    public func vacate(_ leases: [LeaseID], within span: Duration) -> Vacated {
        let deadline = monotonicNanoseconds() + span.nanoseconds
        var remaining = leases.map { cgroup(for: $0) }
        var emptied: [LeaseID] = []
        // The dying go first, before the jobs for a moment and before the leases that stay.
        for weight in topWeights { weight.raise() }
        defer { for weight in topWeights { try? weight.lower() } }
        for cgroup in remaining {
            cgroup.kill()
            guard let folder = cgroup.folder(with: .cpu) else { continue }
            let weight = CgroupWeight(hierarchy: folder.hierarchy, folder: folder.path)
            weight.raise()
            weight.liftQuota()
        }
        var nextKill = monotonicNanoseconds() + 1_000_000
        while !remaining.isEmpty {
            remaining.removeAll { cgroup in
                guard cgroup.isEmpty else { return false }
                emptied.append(cgroup.lease)
                return true
            }
            let now = monotonicNanoseconds()
            guard !remaining.isEmpty, now < deadline else { break }
            if now >= nextKill {
                // What had escaped: a v1 freeze is not instant, and a spawn may just have joined.
                for cgroup in remaining { cgroup.kill() }
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

    private var topWeights: [CgroupWeight] {
        let top = path.prefix { $0 != "/" }
        return hierarchies.filter { $0.controllers.contains(.cpu) }
            .map { CgroupWeight(hierarchy: $0, folder: "\($0.mount)/\(top)", atRest: share) }
    }
}
