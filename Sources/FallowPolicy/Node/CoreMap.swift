public import FallowModel

/// Which CPUs of the machine Slurm's abstract cores are: a hypothesis until a job's own cpuset has confirmed it.
///
/// slurmd numbers cores in the machine's logical order (package by package, core by core), whatever the kernel calls their
/// CPUs. That is the hypothesis; each job whose cpuset is seen confirms or refutes it. Once refuted it is never used.
public struct CoreMap: Sendable {
    public enum State: String, Sendable { case unproven, proven, refuted }

    /// CPUs of each core in logical order.
    private let cpusOfCores: [MachineCPUSet]
    /// The same in the order of the kernel's CPU numbers: the other numbering that a machine might plausibly have.
    private let cpusInKernelOrder: [MachineCPUSet]
    private let allCPUs: MachineCPUSet
    public private(set) var state = State.unproven

    public init(cpusOfCores: [MachineCPUSet]) {
        self.cpusOfCores = cpusOfCores
        cpusInKernelOrder = cpusOfCores.sorted { ($0.first { _ in true } ?? 0) < ($1.first { _ in true } ?? 0) }
        allCPUs = cpusOfCores.reduce(MachineCPUSet()) { $0.union($1) }
    }

    /// The CPUs of some cores; nil while the map is not proven, or when it knows no such core.
    public func cpus(of cores: AbstractCoreSet) -> MachineCPUSet? {
        state == .proven ? union(cores, in: cpusOfCores) : nil
    }

    /// A job that holds `cores` was seen confined to `cpus`.
    ///
    /// CPUs of other cores refute the map. A job that has some CPU of each of its cores (all siblings, or one of each as with
    /// `--threads-per-core=1`) and of no other proves it, unless any numbering would fit: when it holds every core, or cores
    /// that have the same CPUs by the kernel's order while the two orders differ elsewhere.
    public mutating func observe(cores: AbstractCoreSet, cpus: MachineCPUSet) {
        // A job that may run everywhere is not constrained, which is no word about the numbering.
        guard state != .refuted, !cores.isEmpty, !cpus.isEmpty, !allCPUs.isSubset(of: cpus) else { return }
        guard let expected = union(cores, in: cpusOfCores), cpus.isSubset(of: expected) else {
            state = .refuted
            return
        }
        guard cores.count < cpusOfCores.count,
            cores.allSatisfy({ !cpusOfCores[$0].isDisjoint(with: cpus) }),
            cpusOfCores == cpusInKernelOrder || union(cores, in: cpusInKernelOrder) != expected
        else { return }
        state = .proven
    }

    private func union(_ cores: AbstractCoreSet, in order: [MachineCPUSet]) -> MachineCPUSet? {
        var cpus = MachineCPUSet()
        for core in cores {
            guard core < order.count else { return nil }
            cpus = cpus.union(order[core])
        }
        return cpus
    }
}
