import FallowHost
import Foundation
import Testing

@Suite("priority") struct PriorityTests {
    /// The thread alone, and nothing that it starts.
    @Test(.enabled(if: getuid() == 0, "only root may run first"))
    func runsFirstAndItsChildrenDoNot() async throws {
        let own: (Int32, String) = try await withCheckedThrowingContinuation { continuation in
            // A thread of its own, which ends with the closure.
            Thread { continuation.resume(with: Result { try look() }) }.start()
        }
        #expect(own.0 == SCHED_FIFO | schedResetOnFork)
        #expect(own.1.contains("SCHED_OTHER"), "\(own.1)")
        #expect(sched_getscheduler(0) == SCHED_OTHER)
    }

    private func look() throws -> (Int32, String) {
        try runThisThreadFirst()
        let pipe = popen("chrt -p $$", "r")
        defer { pclose(pipe) }
        var text = [CChar](repeating: 0, count: 4096)
        let count = fread(&text, 1, text.count - 1, pipe!)
        return (sched_getscheduler(0), String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    private let schedResetOnFork: Int32 = 0x4000_0000
}
