public import FallowModel

/// What slurmctld knows of a job that its nodes do not: for reports, never for decisions.
public struct JobFacts: Codable, Sendable, Hashable {
    public var jobID: JobID
    public var account: String?
    public var partition: String?
    /// Of an array's task: the array's id and the task's number.
    public var arrayJobID: JobID?
    public var arrayTask: UInt32?
    /// Slurm's CPUs, on all nodes: more than the cores where Slurm counts hardware threads.
    public var cpus: Int
    public var tasks: Int
    public init(
        jobID: JobID, account: String? = nil, partition: String? = nil, arrayJobID: JobID? = nil,
        arrayTask: UInt32? = nil, cpus: Int = 0, tasks: Int = 0
    ) {
        self.jobID = jobID
        self.account = account
        self.partition = partition
        self.arrayJobID = arrayJobID
        self.arrayTask = arrayTask
        self.cpus = cpus
        self.tasks = tasks
    }
}
