internal import FallowConfiguration
internal import FallowControl
internal import FallowModel
internal import FallowWire
internal import Logging
internal import Synchronization

/// Reports to the co-scheduler, on change and every few seconds, and hands its instructions to the shell.
///
/// Silence means off: when the co-scheduler has not answered for `lease.grace_lost`, this node's leases end.
final class ControllerLink: Sendable {
    /// A report on change waits so long: what comes together goes together, and whatever caused it, a lease that is being opened,
    /// say, has the CPU first.
    static let gathering: Duration = .milliseconds(10)
    /// Reports on change come at most this often.
    static let shortestPause: Duration = .milliseconds(50)

    private let settings: Settings
    private let door: LoopDoor<NodeShell>
    private let client: SealedClient
    private let log: Logger
    private let instance = UInt64.random(in: 1 ... .max)
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation
    /// Something is to be reported that no report has said yet.
    private let isDue = Atomic<Bool>(false)
    private let reachable = Atomic<Bool>(false)
    private let startedAt = Timestamp.current()
    private let sequence = Atomic<UInt64>(0)

    init(settings: Settings, door: LoopDoor<NodeShell>, client: SealedClient, log: Logger) {
        self.settings = settings
        self.door = door
        self.client = client
        self.log = log
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether the last report was answered.
    var isReachable: Bool { reachable.load(ordering: .relaxed) }

    /// Something happened that the co-scheduler should hear of soon. From any thread.
    func noteChange() {
        isDue.store(true, ordering: .releasing)
        changed.yield()
    }

    /// Reports until cancelled.
    func run(name: NodeName, agentURL: String) async {
        var lastAnswer = ContinuousClock.now
        let ticker = Task { [settings] in
            while !Task.isCancelled {
                noteChange()
                try? await Task.sleep(for: settings.reportInterval)
            }
        }
        defer { ticker.cancel() }
        for await _ in changes {
            try? await Task.sleep(for: Self.gathering)
            if Task.isCancelled { return }
            guard isDue.exchange(false, ordering: .acquiring) else { continue }
            let number = sequence.wrappingAdd(1, ordering: .relaxed).newValue
            do {
                try await exchange(name: name, number: number, agentURL: agentURL)
                lastAnswer = .now
                if !reachable.exchange(true, ordering: .relaxed) {
                    log.info("the co-scheduler answers", metadata: ["url": "\(settings.controllerURL)"])
                }
            } catch {
                if Task.isCancelled { return }
                if reachable.exchange(false, ordering: .relaxed) || number == 1 {
                    log.warning("the co-scheduler does not answer", metadata: ["error": "\(error)"])
                }
                if ContinuousClock.now - lastAnswer > settings.graceLost {
                    door.tell { shell in
                        guard !shell.leaseIDs.isEmpty else { return }
                        shell.log.warning("leases end: the co-scheduler has been silent for too long")
                        shell.revoke(shell.leaseIDs, .agentGone)
                    }
                }
                try? await Task.sleep(for: .milliseconds(200))
            }
            try? await Task.sleep(for: Self.shortestPause)
        }
    }

    /// A report in the agent's last moments, when the task is cancelled already. Waits for its answer, a second at most.
    func reportOnceMore(name: NodeName, agentURL: String) async {
        guard isReachable else { return }
        let number = sequence.wrappingAdd(1, ordering: .relaxed).newValue
        await Task.detached {
            try? await self.exchange(name: name, number: number, agentURL: agentURL, patience: .seconds(1))
        }.value
    }

    private func exchange(
        name: NodeName, number: UInt64, agentURL: String, patience: Duration = .seconds(3)
    ) async throws {
        let (instance, startedAt) = (instance, startedAt)
        let report = try await door.call {
            $0.report(instance: instance, sequence: number, startedAt: startedAt, agentURL: agentURL)
        }
        let instructions: NodeInstructions = try await client.send(
            .post, settings.controllerURL, "/v1/nodes/\(SealedClient.escape(name.text))/report", body: report,
            timeout: patience)
        try await door.call { $0.on(instructions, answering: report) }
    }
}
