internal import FallowClient
internal import FallowConfiguration
internal import FallowMemory
internal import FallowModel
internal import TransportShm

/// Leases of memory through this node's agent: what waits for the job where no amount was named, else leases of the program's own.
/// Donors' memory files on this node are what the program's library opens; donors on other nodes are behind a relay.
final class LeasedDonors: DonorSource {
    let files: [LentFile]
    let relay: Relay?
    /// Whether the job said `durable`; nil: these leases are none of the job's.
    let jobIsDurable: Bool?
    private let client: FallowClient
    private let leases: [DonorLease]
    /// What the leases were granted for; renewed when half of it has passed.
    private let term: Duration
    private var renewAt: ContinuousClock.Instant

    /// - Parameter remote: how much; nil: what the job said.
    init(_ command: RunCommand, remote: ByteCount?, environment: [String: String]) throws(RunRefusal) {
        do throws(FallowError) {
            client = try FallowClient.connect(
                socketPath: command.socket ?? Self.socket(command.config, environment: environment))
            if let remote {
                var options = MemoryOptions(size: remote)
                options.wait = .seconds(command.wait)
                options.adopts = false
                leases = try client.requestMemory(options)
                jobIsDurable = nil
            } else {
                let adopted = try client.adoptMemory(nil, wait: .seconds(command.wait))
                leases = adopted?.leases ?? []
                jobIsDurable = adopted?.isDurable
            }
        } catch {
            throw RunRefusal(RunRefusal.noMemory, "\(error.message) (\(error.code))")
        }
        guard !leases.isEmpty else {
            throw RunRefusal(
                RunRefusal.noMemory,
                "no --remote-mem was given, here or to the job: say fallow run --remote-mem=1G, or sbatch --remote-mem=1G"
            )
        }
        files = try Self.files(leases.filter { $0.transport == .shm })
        relay = try Self.relay(leases.filter { $0.transport != .shm }, block: command.block.size)
        let now = Timestamp.current()
        term = leases.map { $0.termEnds - now }.min() ?? .zero
        renewAt = .now + term / 2
    }

    private static func files(_ leases: [DonorLease]) throws(RunRefusal) -> [LentFile] {
        var files: [LentFile] = []
        for lease in leases {
            let descriptor: Int32
            do throws(FallowError) { descriptor = try lease.duplicateDescriptor() } catch {
                throw RunRefusal(RunRefusal.noMemory, error.message)
            }
            files.append(
                LentFile(
                    file: try SharedFile(descriptor: descriptor), bytes: lease.capacityBytes,
                    dataOffset: DonorMemoryLayout.controlBytes,
                    reclaimedOffset: DonorMemoryLayout.reclaimedOffset))
        }
        return files
    }

    /// One copy each: the second one, where it is wished for, is the program's own file.
    private static func relay(_ leases: [DonorLease], block: ByteCount) throws(RunRefusal) -> Relay? {
        guard !leases.isEmpty else { return nil }
        let region: Region
        do throws(FallowError) {
            var grants: [DonorGrant] = []
            for lease in leases { grants.append(try DonorGrant(lease)) }
            // The program writes back blocks: no two of them in a stripe, of which one at a time is written.
            region = try Region(
                sizeBytes: leases.reduce(0) { $0 + $1.capacityBytes },
                RegionOptions(stripeBytes: Int(block.bytes)), donors: grants)
        } catch { throw RunRefusal(RunRefusal.noMemory, "\(error.message) (\(error.code))") }
        return try Relay(region)
    }

    func loss() -> String? {
        for lease in leases {
            if let end = lease.end { return "lease \(lease.id) is over (\(end))" }
        }
        if let lost = relay?.lostDonors, lost > 0 {
            let donors = lost == 1 ? "a donor" : "\(lost) donors"
            return "\(donors) on other nodes cannot be reached, or said nothing for 8 s"
        }
        if ContinuousClock.now >= renewAt { renew() }
        return nil
    }

    /// A renewal that is refused is no loss yet: the lease stands until its term ends, and is asked for again.
    private func renew() {
        var isGranted = true
        for lease in leases where (try? lease.renew(term: term)) == nil { isGranted = false }
        renewAt = .now + (isGranted ? term / 2 : .seconds(5))
    }

    func release() {
        relay?.end()
        for lease in leases { try? lease.release() }
        client.close()
    }

    private static func socket(_ config: String?, environment: [String: String]) -> String? {
        if environment["FALLOW_CLIENT_SOCKET"] != nil { return nil }
        let loaded = try? LoadedSettings.load(path: config, environment: environment)
        return loaded.map { $0.settings.runtimeDirectory + "/client.sock" }
    }
}
