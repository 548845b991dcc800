internal import FallowModel

/// A growth laid onto steps of time.
public enum Spread {
    /// The parts of a growth per step of a length, by the step's first second since 1970. They add up to it exactly.
    ///
    /// What came together over more than `limitSeconds` is laid onto the last of them.
    public static func parts(
        _ growth: NodeAccount.Growth, every length: Int64, limitSeconds: Int64 = 86_400
    ) -> [(second: Int64, use: NodeUse)] {
        guard !growth.use.isZero else { return [] }
        let end = growth.to.nanosecondsSinceEpoch
        let start = max(growth.from.nanosecondsSinceEpoch, end - limitSeconds * 1_000_000_000)
        let lastStep = Level.floor(max(start, end - 1), length * 1_000_000_000)
        guard end > start else { return [(lastStep * length, growth.use)] }
        var parts: [(second: Int64, use: NodeUse)] = []
        var given = NodeUse()
        var step = Level.floor(start, length * 1_000_000_000)
        while step <= lastStep {
            let until = min(end, (step + 1) * length * 1_000_000_000)
            let due = growth.use.scaled(until - start, of: end - start)
            if due != given { parts.append((step * length, due - given)) }
            given = due
            step += 1
        }
        return parts
    }
}
