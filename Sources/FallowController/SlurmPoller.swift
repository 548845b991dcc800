internal import FallowControl
internal import FallowModel
internal import FallowSlurm
internal import Logging

/// Asks slurmctld at the site's pace, and forgets its word when it has become too old.
struct SlurmPoller: Sendable {
    let service: ClusterService
    let interval: Duration
    let logger: Logger
    private let reader: Reader
    private let pool = BlockingPool(name: "fallow.slurm", threads: 1, limit: 2)

    /// The process's parent, used on `pool`'s one thread alone.
    private final class Reader: @unchecked Sendable {
        let process: SlurmReaderProcess
        init(program: String) { process = SlurmReaderProcess(program: program) }
    }

    init(service: ClusterService, program: String, interval: Duration, logger: Logger) {
        self.service = service
        self.interval = interval
        self.logger = logger
        reader = Reader(program: program)
    }

    /// Runs until the task is cancelled.
    func run() async throws {
        let patience = max(interval * 2, .seconds(5))
        var answeredAt: ContinuousClock.Instant?
        var problem: String?
        while !Task.isCancelled {
            do {
                let snapshot = try await pool.run(timeout: patience + .seconds(5), "ask slurmctld") { [reader] in
                    try reader.process.read(timeout: patience)
                }
                if problem != nil || answeredAt == nil {
                    logger.notice("slurmctld answers: \(snapshot.nodes.count) nodes")
                }
                problem = nil
                answeredAt = .now
                await service.slurm(snapshot)
            } catch let error as CancellationError {
                throw error
            } catch {
                if problem != "\(error)" {
                    problem = "\(error)"
                    logger.error("without Slurm's view: \(error)")
                }
                let tooOld = answeredAt.map { ContinuousClock.now - $0 > patience + interval } ?? true
                if tooOld { await service.slurm(nil) }
            }
            try await Task.sleep(for: interval)
        }
    }
}
