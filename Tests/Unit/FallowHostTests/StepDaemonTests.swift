import FallowHost
import FallowModel
import Glibc
import Testing

@Suite struct StepDaemonTests {
    @Test(arguments: [
        ("slurmstepd: [7.0]\0", JobID(7)), ("slurmstepd: [7.batch]\0\0\0", JobID(7)),
        ("slurmstepd: [4294901.extern]", JobID(4_294_901)), ("slurmstepd: [7.interactive]", JobID(7)),
        ("slurmstepd: [7+1.0]", nil), ("slurmstepd: [7]", nil), ("slurmstepd: [-7.0]", nil), ("slurmstepd: [.0]", nil),
        ("slurmstepd: [99999999999.0]", nil), ("/usr/sbin/slurmstepd\0", nil), ("", nil),
    ])
    func theTitleSaysWhichJob(title: String, job: JobID?) { #expect(StepDaemon.job(ofTitle: title) == job) }

    @Test func thoseOfTheirOwnerAloneAreBelieved() throws {
        try withFolder { folder in
            for (pid, name, title) in [
                (100, "slurmstepd", "slurmstepd: [7.0]\0"), (101, "slurmstepd", "slurmstepd: [7.extern]\0"),
                (102, "bash", "slurmstepd: [8.0]\0"), (103, "slurmstepd", "slurmstepd\0infinity\0"),
            ] {
                makeFolders("\(folder)/\(pid)")
                writeFile("\(name)\n", to: "\(folder)/\(pid)/comm")
                writeFile(title, to: "\(folder)/\(pid)/cmdline")
                writeFile("0::/system.slice/slurmstepd.scope/job_7/step_\(pid)\n", to: "\(folder)/\(pid)/cgroup")
            }
            makeFolders("\(folder)/104")
            writeFile("slurmstepd: [7.0]\0", to: "\(folder)/cmdline")
            let found = StepDaemon.running(procfs: folder, owner: UserID(geteuid()))
            #expect(
                Set(found)
                    == Set(
                        [100, 101].map {
                            StepDaemon(
                                job: JobID(7), pid: $0, cgroup: "0::/system.slice/slurmstepd.scope/job_7/step_\($0)\n")
                        }))
            #expect(StepDaemon.running(procfs: folder, owner: UserID(geteuid() + 1)).isEmpty)
            #expect(StepDaemon.running(procfs: "\(folder)/nowhere").isEmpty)
        }
    }
}
