public import FallowModel

/// What a lease may use; the kernel holds it to that.
public struct LeaseLimits: Hashable, Sendable {
    /// The CPUs it is pinned to; nil: not pinned.
    public var cpus: MachineCPUSet?
    /// How many cores' time it may use, so that a lease that is not pinned cannot use more than its cores; nil: no quota.
    public var cpuQuotaCores: Int?
    /// Memory, page cache and tmpfs included; no swap. Beyond it the kernel kills.
    public var memory: ByteCount
    /// Processes and threads together.
    public var processes: Int

    public init(cpus: MachineCPUSet? = nil, cpuQuotaCores: Int? = nil, memory: ByteCount, processes: Int) {
        self.cpus = cpus
        self.cpuQuotaCores = cpuQuotaCores
        self.memory = memory
        self.processes = processes
    }
}

/// What a lease has used and uses now.
public struct CgroupUsage: Hashable, Sendable {
    /// CPU time since the lease began, ended processes included.
    public var cpu: Duration
    /// Memory charged to it now, page cache and tmpfs included. Where no memory controller is, the processes' own sum.
    public var memory: ByteCount
    /// How often the kernel killed in it because its memory was used up.
    public var oomKills: Int
    /// Processes alive in it.
    public var processCount: Int

    public init(cpu: Duration, memory: ByteCount, oomKills: Int, processCount: Int) {
        self.cpu = cpu
        self.memory = memory
        self.oomKills = oomKills
        self.processCount = processCount
    }
}
