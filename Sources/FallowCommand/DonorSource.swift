internal import CLinux
internal import FallowModel
internal import Glibc

/// Where a program's remote memory comes from.
protocol DonorSource: AnyObject {
    /// Memory files of donors on this node, all of one size, open in this process.
    var files: [LentFile] { get }
    /// What serves donors on other nodes; nil: there are none.
    var relay: Relay? { get }
    /// Whether the job that the memory waited for said `durable`; nil: it waited for none.
    var jobIsDurable: Bool? { get }
    /// Why some of the memory is gone; nil while all of it stands. Called some times a second; keeps leases alive.
    func loss() -> String?
    /// Gives all of it back.
    func release()
}

/// Memory files of this process, for tests: `FALLOW_TEST_DONORS=COUNT[:LOST_AFTER_MILLISECONDS]`. The first is taken away then, as an
/// agent does it: the word first, then the pages.
final class OwnDonors: DonorSource {
    private static let controlBytes = 4096
    private static let reclaimedOffset = 132
    let files: [LentFile]
    let relay: Relay? = nil
    let jobIsDurable: Bool? = nil
    private let lostAt: ContinuousClock.Instant?
    private var isLost = false

    init(_ text: String, bytes: ByteCount) throws(RunRefusal) {
        let parts = text.split(separator: ":").map { Int($0) }
        guard let first = parts.first, let count = first, count > 0 else {
            throw RunRefusal(RunRefusal.noMemory, "FALLOW_TEST_DONORS '\(text)' is not COUNT[:MILLISECONDS]")
        }
        let each = (Int(bytes.bytes) + count - 1) / count
        let whole = (each + 65_535) / 65_536 * 65_536
        var files: [LentFile] = []
        for _ in 0..<count {
            let file = try SharedFile.memory(named: "fallow-donor", bytes: Self.controlBytes + whole)
            files.append(
                LentFile(
                    file: file, bytes: whole, dataOffset: Self.controlBytes, reclaimedOffset: Self.reclaimedOffset))
        }
        self.files = files
        lostAt = parts.count > 1 ? parts[1].map { .now + .milliseconds($0) } : nil
    }

    func loss() -> String? {
        guard let lostAt, ContinuousClock.now >= lostAt else { return nil }
        if !isLost {
            isLost = true
            var word: UInt32 = 1
            pwrite(files[0].file.descriptor, &word, 4, Self.reclaimedOffset)
            _ = clinux_arena_punch(files[0].file.descriptor, Int64(Self.controlBytes), Int64(files[0].bytes))
        }
        return "its donor was taken away by the test"
    }

    func release() { for file in files { close(file.file.descriptor) } }
}

enum DonorSources {
    /// - Parameter remote: how much; nil: what the job said.
    /// - Throws: `RunRefusal.noMemory` when there is none to be had.
    static func open(
        _ command: RunCommand, remote: ByteCount?, environment: [String: String]
    ) throws(RunRefusal) -> any DonorSource {
        if let own = environment["FALLOW_TEST_DONORS"], let remote { return try OwnDonors(own, bytes: remote) }
        return try LeasedDonors(command, remote: remote, environment: environment)
    }
}
