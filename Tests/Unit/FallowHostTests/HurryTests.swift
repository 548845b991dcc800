import FallowHost
import FallowModel
import Glibc
import Testing

extension LeaseTests {
    @Suite("hurry") struct HurryTests {
        /// Beside burners on every CPU a process of the tree gets next to nothing at rest, and its share while a hurry lasts.
        @Test func whatIsInAHurryGetsItsShareOfTheCPU() throws {
            let burn = "import time\nend = time.time() + 60\nwhile time.time() < end: pass"
            let python = { (cgroup: LeaseCgroup?) in
                try spawn(
                    SpawnRequest(
                        executable: "/usr/bin/python3", arguments: ["-c", burn],
                        cgroups: cgroup?.paths ?? []))
            }
            try withTree(mode: .automatic, keepLowestWeight: true) { tree in
                let cgroup = try tree.create(LeaseID(1), limits: .ample)
                let tenant = try python(cgroup)
                defer { _ = finish(tenant) }
                // Started before the burners: at rest it would not even begin.
                #expect(eventually { cgroup.usage().cpu > .milliseconds(100) })
                let burners = try (0..<Topology.read().online.count).map { _ in try python(nil) }
                defer { for burner in burners { _ = finish(burner) } }
                func used(over milliseconds: UInt32) -> Duration {
                    let before = cgroup.usage().cpu
                    usleep(milliseconds * 1000)
                    return cgroup.usage().cpu - before
                }
                usleep(200_000)
                let atRest = used(over: 600)
                let hurry = tree.hurry()
                let other = tree.hurry()
                other.end()
                other.end()  // the second time it is nothing
                let hurried = used(over: 600)
                // The end of a vacate takes nothing from what is in a hurry.
                _ = tree.vacate([LeaseID(2)], within: .seconds(1))
                let stillHurried = used(over: 600)
                hurry.end()
                // The scheduler pays what it owes from before, for a moment.
                let afterwards = min(used(over: 600), used(over: 600))
                print("CPU of 600 ms: at rest \(atRest), hurried \(hurried), \(stillHurried), afterwards \(afterwards)")
                #expect(atRest < .milliseconds(30) && afterwards < hurried / 3)
                #expect(hurried > .milliseconds(60) && stillHurried > .milliseconds(60))
                #expect(tree.vacate([LeaseID(1)], within: .seconds(5)).emptied == [LeaseID(1)])
                try cgroup.remove()
            }
        }
    }
}
