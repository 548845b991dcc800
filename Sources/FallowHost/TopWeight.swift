internal import Synchronization

/// The CPU weight of a tree's top-level folder: the one at rest, and more while something in it cannot wait for the CPU.
final class TopWeight: Sendable {
    private enum Level { case rest, ordinary, raised }
    private struct Needs {
        var births = 0
        var deaths = 0
        var level = Level.rest

        var wanted: Level { deaths > 0 ? .raised : births > 0 ? .ordinary : .rest }
    }

    private let folders: [CgroupWeight]
    private let needs = Mutex(Needs())

    init(folders: [CgroupWeight]) { self.folders = folders }

    /// The dying go before everything else on the node until `deathsEnd()`.
    func deathsBegin() { change { $0.deaths += 1 } }
    func deathsEnd() { change { $0.deaths -= 1 } }

    /// What is being born has as much as any other folder until `birthEnds()`.
    func birthBegins() { change { $0.births += 1 } }
    func birthEnds() { change { $0.births -= 1 } }

    private func change(_ body: (inout Needs) -> Void) {
        // Under the lock, so that the last word to the kernel is the last decision; it is a write of two small files.
        needs.withLock { needs in
            body(&needs)
            guard needs.wanted != needs.level else { return }
            needs.level = needs.wanted
            for folder in folders {
                switch needs.level {
                case .rest: try? folder.lower()
                case .ordinary: try? folder.equalize()
                case .raised: folder.raise()
                }
            }
        }
    }
}

/// While it exists, or until `end()`, the tree it was asked from has an ordinary CPU weight instead of the one at rest.
public final class CgroupHurry: Sendable {
    private let weight: TopWeight
    private let hasEnded = Mutex(false)

    init(_ weight: TopWeight) {
        self.weight = weight
        weight.birthBegins()
    }
    deinit { end() }

    /// Once; later calls do nothing.
    public func end() {
        let endsNow = hasEnded.withLock { ended in
            defer { ended = true }
            return !ended
        }
        if endsNow { weight.birthEnds() }
    }
}
