internal import FallowClient
internal import FallowConfiguration
internal import FallowModel
internal import TransportShm

/// Leases of memory through this node's agent: donors on this node, whose memory files the program's library opens.
final class LeasedDonors: DonorSource {
    let files: [LentFile]
    private let client: FallowClient
    private let leases: [DonorLease]
    /// What the leases were granted for; renewed when half of it has passed.
    private let term: Duration
    private var renewAt: ContinuousClock.Instant

    init(_ command: RunCommand, remote: ByteCount, environment: [String: String]) throws(RunRefusal) {
        do throws(FallowError) {
            client = try FallowClient.connect(
                socketPath: command.socket ?? Self.socket(command.config, environment: environment))
            var options = MemoryOptions(size: remote)
            options.wait = .seconds(command.wait)
            options.node = try client.status().node
            leases = try client.requestMemory(options)
        } catch {
            throw RunRefusal(RunRefusal.noMemory, "\(error.message) (\(error.code))")
        }
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
        self.files = files
        let now = Timestamp.current()
        term = leases.map { $0.termEnds - now }.min() ?? .zero
        renewAt = .now + term / 2
    }

    func loss() -> String? {
        for lease in leases {
            if let end = lease.end { return "lease \(lease.id) is over (\(end))" }
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
        for lease in leases { try? lease.release() }
        client.close()
    }

    private static func socket(_ config: String?, environment: [String: String]) -> String? {
        if environment["FALLOW_CLIENT_SOCKET"] != nil { return nil }
        let loaded = try? LoadedSettings.load(path: config, environment: environment)
        return loaded.map { $0.settings.runtimeDirectory + "/client.sock" }
    }
}
