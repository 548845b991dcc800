internal import CSlurm
internal import FallowModel
internal import FallowWire
internal import Glibc

/// Asks slurmctld for nodes and jobs, and keeps what did not change. Blocks for as long as libslurm does.
final class SlurmReader {
    private let library: SlurmLibrary
    private var jobs: UnsafeMutablePointer<job_info_msg_t>?
    private var nodes: UnsafeMutablePointer<node_info_msg_t>?
    private var reads = 0
    private var privateData: PrivateData?
    private static let wholeEvery = 6
    private static let show = UInt16(0x0001 | 0x0002 | 0x0008)  // SHOW_ALL, SHOW_DETAIL, SHOW_MIXED

    init() throws { library = try SlurmLibrary() }

    deinit {
        if let jobs { library.freeJobs(jobs) }
        if let nodes { library.freeNodes(nodes) }
    }

    /// slurmctld's word now; only what changed since the last call travels.
    ///
    /// Plans of pending jobs change without slurmctld counting it as a change, hence a whole load now and then.
    func snapshot() throws -> SlurmSnapshot {
        reads += 1
        let since = reads % Self.wholeEvery == 0 ? 0 : jobs?.pointee.last_update ?? 0
        var newJobs: UnsafeMutablePointer<job_info_msg_t>?
        if library.loadJobs(since, &newJobs, Self.show) == 0, let newJobs {
            if let jobs { library.freeJobs(jobs) }
            jobs = newJobs
        } else if library.lastError() != Int32(SLURM_NO_CHANGE_IN_DATA.rawValue) {
            throw library.failure("load the jobs from slurmctld")
        }
        var newNodes: UnsafeMutablePointer<node_info_msg_t>?
        if library.loadNodes(nodes?.pointee.last_update ?? 0, &newNodes, Self.show) == 0, let newNodes {
            if let nodes { library.freeNodes(nodes) }
            nodes = newNodes
        } else if library.lastError() != Int32(SLURM_NO_CHANGE_IN_DATA.rawValue) {
            throw library.failure("load the nodes from slurmctld")
        }
        if privateData == nil || reads % Self.wholeEvery == 0 { try readPrivateData() }
        return makeSnapshot()
    }

    /// `scontrol reconfigure` may change it at any time.
    private func readPrivateData() throws {
        var configuration: UnsafeMutablePointer<slurm_conf_t>?
        guard library.loadConfiguration(0, &configuration) == 0, let configuration else {
            throw library.failure("load slurmctld's configuration")
        }
        privateData = PrivateData(rawValue: configuration.pointee.private_data)
        library.freeConfiguration(configuration)
    }

    private func makeSnapshot() -> SlurmSnapshot {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let at = Timestamp(nanosecondsSinceEpoch: Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec))
        guard let nodes else { return SlurmSnapshot(at: at, nodes: []) }
        let records = UnsafeBufferPointer(start: nodes.pointee.node_array, count: Int(nodes.pointee.record_count))
        var threads: [String: Int] = [:]
        var realMemory: [String: Int64] = [:]
        for node in records {
            guard let name = node.name.map({ String(cString: $0) }) else { continue }
            threads[name] = max(1, Int(node.threads))
            realMemory[name] = Int64(clamping: node.real_memory)
        }
        var held: [String: [SlurmJobView]] = [:]
        var planned: [String: Timestamp] = [:]
        var facts: [JobFacts] = []
        let list = UnsafeBufferPointer(start: jobs?.pointee.job_array, count: Int(jobs?.pointee.record_count ?? 0))
        for job in list {
            let state = job.job_state & 0xff
            if state == 0, job.start_time > 0 {
                for host in library.hosts(job.sched_nodes) {
                    let start = Self.time(job.start_time)
                    planned[host] = min(planned[host] ?? start, start)
                }
                continue
            }
            let completing = job.job_state & UInt32(CSLURM_JOB_COMPLETING) != 0
            guard state == 1 || state == 2 || completing else { continue }
            facts.append(Self.facts(of: job))
            let hosts = library.hosts(job.nodes)
            for host in hosts {
                let cores = cores(of: job, on: host, threads: threads[host] ?? 1)
                let word = completing ? "COMPLETING" : state == 2 ? "SUSPENDED" : "RUNNING"
                let memory = Self.mebibytes(
                    of: job, cpus: cores.count * (threads[host] ?? 1), hosts: hosts.count,
                    whole: realMemory[host] ?? 0)
                held[host, default: []].append(
                    SlurmJobView(
                        jobID: JobID(job.job_id), user: UserID(job.user_id), cores: cores,
                        memory: .mebibytes(memory), state: word,
                        startedAt: job.start_time > 0 ? Self.time(job.start_time) : nil,
                        expectedEnd: job.time_limit < 0xffff_fffe && job.end_time > 0 ? Self.time(job.end_time) : nil,
                        exclusive: job.shared == 0, nodeCount: hosts.count))
            }
        }
        return SlurmSnapshot(
            at: at,
            nodes: records.compactMap { node in
                guard let name = node.name.map({ String(cString: $0) }), !name.isEmpty else { return nil }
                let rule = NodeStateRule(state: node.node_state)
                let view = SlurmNodeView(
                    at: at, state: rule.words, mayLend: rule.mayLend, cores: Int(node.sockets) * Int(node.cores),
                    memory: .mebibytes(Int64(clamping: node.real_memory)),
                    jobs: (held[name] ?? []).sorted { $0.jobID < $1.jobID })
                let partitions = node.partitions.map { String(cString: $0) } ?? ""
                return .init(name: NodeName(name), view: view, plannedStart: planned[name], partitions: partitions)
            }, jobs: facts, privateData: privateData)
    }

    private static func facts(of job: slurm_job_info_t) -> JobFacts {
        let isTask = job.array_job_id != 0 && job.array_task_id < 0xffff_fffe
        return JobFacts(
            jobID: JobID(job.job_id),
            account: job.account.map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 },
            partition: job.partition.map { String(cString: $0) }, arrayJobID: isTask ? JobID(job.array_job_id) : nil,
            arrayTask: isTask ? job.array_task_id : nil, cpus: Int(job.num_cpus), tasks: Int(job.num_tasks))
    }

    /// The job's core ids on a node.
    ///
    /// libslurm prints the bitmap of the job's resources: as cores, since it learns a node's threads only where it prints
    /// jobs itself (`_threads_per_core` in job_info.c).
    private func cores(of job: slurm_job_info_t, on host: String, threads: Int) -> AbstractCoreSet {
        guard let resources = job.job_resrcs else { return AbstractCoreSet() }
        var text = [CChar](repeating: 0, count: 16_384)
        guard library.cpusOnNode(&text, text.count, resources, host) == 0 else {
            return AbstractCoreSet()
        }
        let list = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return AbstractCoreSet(parsing: list) ?? AbstractCoreSet()
    }

    /// The job's memory on one node in MiB. The structure that holds it is opaque, so: a one-node job's allocated total;
    /// else what was asked for a node, or for a CPU times the CPUs there; nothing asked is the whole node.
    private static func mebibytes(of job: slurm_job_info_t, cpus: Int, hosts: Int, whole: Int64) -> Int64 {
        if hosts == 1, let text = job.tres_alloc_str, let total = allocatedMemory(String(cString: text)) {
            return total
        }
        let perCPU = UInt64(1) << 63
        if job.pn_min_memory & perCPU != 0 {
            let (product, overflow) = Int64(clamping: job.pn_min_memory & ~perCPU)
                .multipliedReportingOverflow(by: Int64(cpus))
            return overflow ? whole : min(product, whole)
        }
        return job.pn_min_memory == 0 ? whole : Int64(clamping: job.pn_min_memory)
    }

    /// `mem=` of a TRES text such as `cpu=2,mem=1500M,node=1`, in MiB.
    static func allocatedMemory(_ tres: String) -> Int64? {
        for part in tres.split(separator: ",") where part.hasPrefix("mem=") {
            let text = part.dropFirst(4)
            let plain = text.allSatisfy(\.isNumber)
            return ByteCount(parsing: plain ? text + "M" : text).map { $0.bytes >> 20 }
        }
        return nil
    }

    private static func time(_ seconds: time_t) -> Timestamp {
        Timestamp(nanosecondsSinceEpoch: Int64(clamping: seconds) &* 1_000_000_000)
    }
}
