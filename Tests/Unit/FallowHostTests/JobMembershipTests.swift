import FallowHost
import FallowModel
import Foundation
import Testing

/// A /proc of files: process \u{2192} parent and cgroup.
private struct FakeProc {
    let path = FileManager.default.temporaryDirectory.path + "/fallow-proc-\(UInt32.random(in: 0 ... .max))"
    func add(_ pid: Int, parent: Int, cgroup: String = "0::/user.slice\n") throws {
        try FileManager.default.createDirectory(atPath: "\(path)/\(pid)", withIntermediateDirectories: true)
        try "\(pid) (a) b) c) S \(parent) 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
            .write(toFile: "\(path)/\(pid)/stat", atomically: false, encoding: .utf8)
        try cgroup.write(toFile: "\(path)/\(pid)/cgroup", atomically: false, encoding: .utf8)
    }
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct JobMembershipTests {
    @Test func descentFromASlurmstepdIsProof() throws {
        let proc = FakeProc()
        defer { proc.remove() }
        try proc.add(100, parent: 1)
        try proc.add(101, parent: 100)
        try proc.add(102, parent: 101)
        try proc.add(200, parent: 1)
        try proc.add(201, parent: 200)
        var job = JobMembership()
        job.stepRuns(stepd: 100, cgroupText: "0::/system.slice\n", job: JobID(7))
        #expect(job.holds(102, procfs: proc.path) && job.holds(101, procfs: proc.path))
        #expect(!job.holds(201, procfs: proc.path) && !job.holds(999, procfs: proc.path))
        #expect(
            !job.holds(1, procfs: proc.path) && !job.holds(0, procfs: proc.path) && !job.holds(-5, procfs: proc.path))
        job.stepEnded(stepd: 100)
        #expect(!job.holds(102, procfs: proc.path))
    }

    @Test func theJobsOwnCgroupIsProofAlsoOfWhatLeftItsParents() throws {
        let proc = FakeProc()
        defer { proc.remove() }
        try proc.add(300, parent: 1, cgroup: "5:memory:/slurm_n1/uid_9/job_7/step_0/task_0\n4:cpu:/\n0::/x\n")
        try proc.add(301, parent: 1, cgroup: "5:memory:/slurm_n1/uid_9/job_70/step_0\n")
        try proc.add(302, parent: 1, cgroup: "5:memory:/slurm_n2/uid_9/job_7/step_0\n")
        try proc.add(303, parent: 1, cgroup: "5:cpu:/slurm_n1/uid_9/job_7/step_0\n")
        try proc.add(304, parent: 1, cgroup: "5:memory:/slurm_n1/uid_9/job_7/../../..\n")
        try proc.add(305, parent: 1, cgroup: "0::/system.slice/slurmstepd.scope/job_7/step_batch/user\n")
        var job = JobMembership()
        job.stepRuns(stepd: 0, cgroupText: "5:memory:/slurm_n1/uid_9/job_7/step_batch\n4:cpu:/\n", job: JobID(7))
        #expect(job.folders == ["memory:/slurm_n1/uid_9/job_7"])
        #expect(job.holds(300, procfs: proc.path))
        for other: Int32 in 301...305 { #expect(!job.holds(other, procfs: proc.path), "\(other)") }
        job.stepRuns(
            stepd: 0, cgroupText: "0::/system.slice/slurmstepd.scope/job_7/step_0/slurm\n", job: JobID(7))
        #expect(job.holds(305, procfs: proc.path))
    }

    @Test func thisProcessIsOfTheJobOfItsParent() {
        #expect(JobMembership(stepds: [getppid()]).holds(getpid()))
        #expect(!JobMembership(stepds: [getpid() + 100_000]).holds(getpid()))
    }
}
