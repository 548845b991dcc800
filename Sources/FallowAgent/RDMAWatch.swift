internal import FallowConfiguration
internal import FallowControl
internal import FallowModel
internal import Logging
internal import Synchronization

/// Looks now and then for the node's RDMA device: a port may come up, or go, while the agent runs.
final class RDMAWatch: Sendable {
    private static let interval: Duration = .seconds(30)

    private let settings: Settings
    private let door: LoopDoor<NodeShell>
    private let log: Logger
    private let last = Mutex<(offer: RDMAOffer?, why: String?)>((nil, nil))

    init(settings: Settings, door: LoopDoor<NodeShell>, log: Logger) {
        self.settings = settings
        self.door = door
        self.log = log
    }

    /// Looks every half minute until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.interval)
            await look()
        }
    }

    /// Looks once, and says what has changed.
    func look() async {
        let settings = settings
        let found = try? await BlockingPool.shared.run(timeout: .seconds(5), "looking for an RDMA device") {
            RDMAOffer.find(settings)
        }
        guard let (offer, why) = found else { return }
        let changed = last.withLock { last in
            defer { last = (offer, why) }
            return last.offer != offer || last.why != why
        }
        guard changed else { return }
        if let offer {
            log.notice(
                "executors are reached over RDMA",
                metadata: ["device": "\(offer.device)", "address": "\(offer.address)"])
        } else {
            log.warning("executors are not reached over RDMA", metadata: ["why": "\(why ?? "no device any more")"])
        }
        door.tell { $0.rdma = offer }
    }
}
