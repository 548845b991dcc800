public import FallowModel

/// The machine's CPUs, how they share cores, packages and memory, and how much memory there is.
public struct Topology: Hashable, Sendable {
    public struct CPU: Hashable, Sendable {
        public var number: Int
        /// The online CPUs of the same core (SMT siblings), itself included.
        public var core: MachineCPUSet
        public var package: Int
        public var numaNode: Int
        public init(number: Int, core: MachineCPUSet, package: Int, numaNode: Int) {
            self.number = number
            self.core = core
            self.package = package
            self.numaNode = numaNode
        }
    }
    /// The online CPUs, in rising order of their numbers.
    public var cpus: [CPU]
    /// All memory the kernel manages (MemTotal).
    public var memory: ByteCount

    public init(cpus: [CPU], memory: ByteCount) {
        self.cpus = cpus
        self.memory = memory
    }

    public var online: MachineCPUSet { MachineCPUSet(cpus.map(\.number)) }

    /// The cores, each as its CPUs, in rising order of their first CPU.
    public var cores: [MachineCPUSet] {
        var seen: Set<MachineCPUSet> = []
        return cpus.map(\.core).filter { seen.insert($0).inserted }
    }

    /// Those of the CPUs whose whole core is among them: a whole core is lent or none of it.
    public func wholeCores(within cpus: MachineCPUSet) -> MachineCPUSet {
        cores.filter { $0.isSubset(of: cpus) }.reduce(MachineCPUSet()) { $0.union($1) }
    }

    /// Reads them from /sys and /proc below a root folder. Where a machine tells no topology, each CPU is a core of its own.
    /// - Throws: when the list of online CPUs or the memory's size cannot be read.
    public static func read(root: String = "/") throws(HostError) -> Topology {
        let folder = root.hasSuffix("/") ? String(root.dropLast()) : root
        let system = "\(folder)/sys/devices/system"
        let onlineFile = "\(system)/cpu/online"
        let onlineText = try HostFile.read(onlineFile).filter { !$0.isWhitespace }
        guard let online = MachineCPUSet(parsing: onlineText), !online.isEmpty else {
            throw HostError(.system, "'\(onlineText)' is no list of online CPUs", path: onlineFile)
        }
        var nodeOfCPU: [Int: Int] = [:]
        for name in HostFile.names(in: "\(system)/node") where name.hasPrefix("node") {
            guard let node = Int(name.dropFirst(4)),
                let text = HostFile.trimmed("\(system)/node/\(name)/cpulist"),
                let members = MachineCPUSet(parsing: text)
            else { continue }
            for cpu in members { nodeOfCPU[cpu] = node }
        }
        let cpus = online.map { number in
            let topology = "\(system)/cpu/cpu\(number)/topology"
            let siblings =
                (HostFile.trimmed("\(topology)/core_cpus_list") ?? HostFile.trimmed("\(topology)/thread_siblings_list"))
                .flatMap { MachineCPUSet(parsing: $0) }
            let package = HostFile.integer("\(topology)/physical_package_id") ?? 0
            return CPU(
                number: number, core: (siblings ?? MachineCPUSet([number])).intersection(online),
                package: max(0, Int(package)), numaNode: nodeOfCPU[number] ?? 0)
        }
        let memoryFile = "\(folder)/proc/meminfo"
        guard let kibibytes = HostFile.value(of: "MemTotal:", in: try HostFile.read(memoryFile)) else {
            throw HostError(.system, "there is no MemTotal", path: memoryFile)
        }
        return Topology(cpus: Array(cpus), memory: .kibibytes(kibibytes))
    }
}
