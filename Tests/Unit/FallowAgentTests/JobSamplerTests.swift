import FallowModel
import Glibc
import Testing

@testable import FallowAgent

@Suite struct JobSamplerTests {
    /// This process counts as the job's, below a slurmstepd that is its parent.
    @Test func whatAJobUsedBeforeItWasFoundIsNotCounted() throws {
        let job = JobID(7)
        func burn() {
            let began = clock()
            while Double(clock() - began) < 0.1 * Double(CLOCKS_PER_SEC) {}
        }
        burn()
        var (early, late) = (JobSampler(), JobSampler())
        early.running(job, stepd: getppid(), cgroup: "")
        late.running(job, stepd: getppid(), cgroup: "", isLate: true)
        #expect(try #require(early.look(at: [job]).first).newCPUSeconds >= 0.1)
        let first = try #require(late.look(at: [job]).first)
        #expect(first.newCPUSeconds == 0 && first.cpuSeconds == 0 && first.memory > .zero)
        burn()
        let second = try #require(late.look(at: [job]).first)
        #expect((0.05...5).contains(second.newCPUSeconds) && second.cpuSeconds == second.newCPUSeconds)
        // Another step of the same job is no news of what was used.
        late.running(job, stepd: getppid(), cgroup: "", isLate: true)
        burn()
        #expect(try #require(late.look(at: [job]).first).newCPUSeconds >= 0.05)
    }
}
