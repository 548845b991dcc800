public import FallowLogging
public import FallowModel

/// Everything that a site may set, with what is in force when it sets nothing.
///
/// One file (`/etc/fallow/fallow.yaml`, or `$FALLOW_CONFIG`) serves every program; a variable `FALLOW_<KEY>` (dots and
/// small letters as underscores and capitals: `agent.listen` is `FALLOW_AGENT_LISTEN`) wins over the file.
public struct Settings: Sendable, Equatable {
    // cluster
    public var clusterName = "cluster"
    // controller
    public var controllerURL = "http://127.0.0.1:6880"
    public var controllerListen = "127.0.0.1:6880"
    /// Holds the token by which other machines read `/metrics` and the page; nil: only this machine does.
    public var readerTokenFile: String?
    /// Holds the token by which a reverse proxy is believed whom it names; nil: none is.
    public var proxyTokenFile: String?
    /// Chart.js, as Debian installs it.
    public var chartLibrary = "/usr/share/javascript/chart.js/chart.min.js"
    // log
    public var logLevels = LogLevels()
    // history
    public var historyRaw: Duration = .seconds(86_400)
    public var historyMinutes: Duration = .seconds(30 * 86_400)
    public var historyHours: Duration = .seconds(1096 * 86_400)
    public var historyEvents: Duration = .seconds(90 * 86_400)
    // node and agent
    public var nodeName: NodeName?
    public var nodeCores: Int?
    public var nodeMemory: ByteCount?
    public var agentListen = "0.0.0.0:6881"
    public var agentURL: String?
    public var dataAddress = "127.0.0.1"
    public var rdma = RDMAUse.auto
    public var rdmaAddress: String?
    public var reportInterval: Duration = .seconds(2)
    // folders and sockets
    public var runtimeDirectory = "/run/fallow"
    public var stateDirectory = "/var/lib/fallow"
    public var cgroupPath = "fallow.slice/fallowd.service"
    public var cgroupMount = "/sys/fs/cgroup"
    public var cgroupLowestWeight = true
    public var mungeSocket: String?
    public var trustedUsers: [UserID] = [.root]
    public var operators: [UserID] = [.root]
    // lending
    public var lendUnallocated = false
    public var lendLent = false
    public var window: Duration = .seconds(60)
    public var keepCores = 1
    public var memoryHeadroomPercent = 10
    public var memoryHeadroom: ByteCount = .gibibytes(1)
    /// Nil: a twentieth of the node's memory, at least 1 GiB.
    public var unallocatedHeadroom: ByteCount?
    public var coreMapping = CoreMapping.auto
    // leases
    public var termDefault: Duration = .seconds(300)
    public var termMaximum: Duration = .seconds(3600)
    public var leasesPerUser = 64
    public var coresPerUser = 1024
    public var memoryPerUser: ByteCount = .gibibytes(128)
    public var graceLost: Duration = .seconds(30)
    // executors
    public var executorPath = "/usr/libexec/fallow/fallow-executor"
    public var executorProcesses = 64
    public var executorOpenFiles = 256
    public var executorFileSize: ByteCount = .gibibytes(1)
    public var executorPoll: Duration = .microseconds(100)
    public var executorPollPercent = 50
    /// Executors that stand ready for leases, at most; nil: as many as the node has cores, up to `parkedAtMost`, and none where
    /// starting one would delay a vacate that falls into it, as it does under cgroup v1 (docs/performance.md).
    public var executorParked: Int?
    public static let parkedAtMost = 8
    // donors
    public var donorPath = "/usr/libexec/fallow/fallow-donor"
    /// Whom donors run as; nil: `fallow` where there is such a user, else `nobody`.
    public var donorUser: String?
    public var donorSize: ByteCount = .gibibytes(2)
    public var donorHugePages = HugePageUse.auto
    // memory
    /// Whether programs are handed /dev/userfaultfd, with which a system call may wait for a page as long as its program likes.
    public var handsOutUserfaultfd = false
    // slurm
    public var slurmPollInterval: Duration = .seconds(5)
    public var slurmReaderPath = "/usr/libexec/fallow/fallow-slurm-reader"

    public init() {}
}

/// Whether executors are reached over RDMA devices.
public enum RDMAUse: String, Sendable, CaseIterable {
    /// Where a device carries the address.
    case auto
    case off
}

/// Whether donors ask for huge pages.
public enum HugePageUse: String, Sendable, CaseIterable {
    /// Where the kernel gives them to shared memory.
    case auto
    case off
}

/// How Slurm's abstract core ids become CPUs of the machine.
public enum CoreMapping: String, Sendable, CaseIterable {
    /// Proven from a job's own cpuset; while it is not, a vacate takes every core and nothing is lent beneath jobs.
    case auto
    /// The site says that core ids are only counted and nothing is pinned: virtual nodes, a lab.
    case logical
}
