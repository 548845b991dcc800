public import FallowModel

/// A process to be started: everything it will have is named here; nothing is inherited by accident.
///
/// Besides what is named: a new session, umask 077, no_new_privs, ordinary scheduling, default signal dispositions and an empty signal mask,
/// no core dumps.
public struct SpawnRequest: Sendable {
    /// How much of the machine's own the process sees.
    public enum Isolation: Hashable, Sendable {
        /// Nothing of its own.
        case none
        /// Mount and System V IPC namespaces of its own. Needs root.
        case namespaces
        /// Besides, a /dev with null, zero, full, random, urandom, tty, shm and the device files named, and nothing else.
        case namespacesAndDevices(keeping: [String] = [])
    }
    /// Resource limits; soft and hard alike.
    public struct Limits: Hashable, Sendable {
        public var openFiles: Int
        /// The largest file it may write; beyond it SIGXFSZ. nil: no limit.
        public var fileSize: ByteCount?
        /// Whether it may lock (and register) as much memory as its cgroup allows; else the caller's limit is inherited.
        public var unlimitedLockedMemory: Bool
        /// The most processes and threads of its *user*, all over the machine. nil: inherited; the cgroup limits the lease.
        public var userProcesses: Int?

        public init(
            openFiles: Int = 1024, fileSize: ByteCount? = nil, unlimitedLockedMemory: Bool = false,
            userProcesses: Int? = nil
        ) {
            self.openFiles = openFiles
            self.fileSize = fileSize
            self.unlimitedLockedMemory = unlimitedLockedMemory
            self.userProcesses = userProcesses
        }
    }

    /// An absolute path.
    public var executable: String
    /// What follows argv[0], which is the executable.
    public var arguments: [String]
    /// The whole environment.
    public var environment: [String: String]
    /// Entered with the user's rights.
    public var workingDirectory: String
    /// The child's descriptor number → ours. All others are closed in the child; 0, 1 and 2 are /dev/null when not named. Ours stay open.
    public var descriptors: [Int32: Int32]
    /// Whom to become; nil: stay who we are.
    public var identity: UserIdentity?
    /// The folders of the cgroups to be in, first of all, one a hierarchy: `LeaseCgroup.paths`. In the first the process is born
    /// where the kernel can do that (cgroup v2, Linux 5.7), which waits for no grace period.
    public var cgroups: [String]
    public var limits: Limits
    public var isolation: Isolation
    /// −1000 … 1000; at 1000 the kernel kills it first when memory is short.
    public var oomScoreAdjustment: Int
    /// How long it may take until the executable runs.
    public var deadline: Duration

    public init(
        executable: String, arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String = "/", descriptors: [Int32: Int32] = [:], identity: UserIdentity? = nil,
        cgroups: [String] = [], limits: Limits = Limits(), isolation: Isolation = .none,
        oomScoreAdjustment: Int = 1000, deadline: Duration = .seconds(10)
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.descriptors = descriptors
        self.identity = identity
        self.cgroups = cgroups
        self.limits = limits
        self.isolation = isolation
        self.oomScoreAdjustment = oomScoreAdjustment
        self.deadline = deadline
    }
}

/// A process just started, to be reaped by its starter: hand both to `ProcessHandle(child:descriptor:)`.
public struct SpawnedProcess: Hashable, Sendable {
    public var pid: Int32
    /// Its pidfd, the caller's to close; -1 on kernels before 5.3.
    public var descriptor: Int32
}
