public import FallowModel

/// Which CPUs of the machine Slurm's abstract cores are: a hypothesis until a job's own cpuset has confirmed it.
///
/// slurmd numbers cores in the machine's logical order (package by package, core by core), whatever the kernel calls their
/// CPUs. That is the hypothesis; each job whose cpuset is seen confirms or refutes it. Once refuted it is never used.
public struct CoreMap: Sendable {
    public enum State: Sendable, Hashable { case unproven, proven, refuted }

    /// CPUs of each core in logical order.
    private let cpusOfCores: [MachineCPUSet]
    public private(set) var state = State.unproven

    public init(cpusOfCores: [MachineCPUSet]) { self.cpusOfCores = cpusOfCores }

    /// The CPUs of some cores; nil while the map is not proven, or when it knows no such core.
    public func cpus(of cores: AbstractCoreSet) -> MachineCPUSet? {
        state == .proven ? expected(cores) : nil
    }

    /// A job that holds `cores` was seen confined to `cpus`.
    ///
    /// A job that holds every core proves nothing: any numbering would fit.
    public mutating func observe(cores: AbstractCoreSet, cpus: MachineCPUSet) {
        guard state != .refuted, !cores.isEmpty, let expected = expected(cores) else { return }
        if cpus == expected {
            if cores.count < cpusOfCores.count { state = .proven }
        } else if cpus.count < allCPUs.count {
            // A job that may run everywhere is not constrained, which is no word about the numbering.
            state = .refuted
        }
    }

    private var allCPUs: MachineCPUSet { cpusOfCores.reduce(MachineCPUSet()) { $0.union($1) } }

    private func expected(_ cores: AbstractCoreSet) -> MachineCPUSet? {
        var cpus = MachineCPUSet()
        for core in cores {
            guard core < cpusOfCores.count else { return nil }
            cpus = cpus.union(cpusOfCores[core])
        }
        return cpus
    }
}
