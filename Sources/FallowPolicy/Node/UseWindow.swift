public import FallowModel

/// What one job used over the last window: the base of `auto` lending.
///
/// CPU use is the largest average over any two samples that follow each other within the window, so a burst between two
/// samples counts as the burst that it was. Nothing is said until the window has been watched whole.
public struct UseWindow: Sendable {
    private struct Sample: Sendable {
        var at: Timestamp
        var cpuSeconds: Double
        var memory: ByteCount
    }

    /// How far back the window reaches.
    public let span: Duration
    private var samples: [Sample] = []

    public init(span: Duration) { self.span = span }

    /// Adds what was measured: CPU time since the job's start, and memory now. Samples that go back in time are dropped.
    public mutating func add(cpuSeconds: Double, memory: ByteCount, at: Timestamp) {
        if let last = samples.last, at <= last.at { return }
        samples.append(Sample(at: at, cpuSeconds: cpuSeconds, memory: memory))
        // One sample older than the window is kept, so that the window's first moment is covered.
        while samples.count > 2, at - samples[1].at >= span { samples.removeFirst() }
    }

    /// Forgets everything: the job's use is about to change, because a step starts.
    public mutating func restart() { samples.removeAll() }

    /// Whether samples cover the whole window up to `now`.
    public func isComplete(at now: Timestamp) -> Bool {
        guard let first = samples.first, let last = samples.last else { return false }
        return last.at - first.at >= span && now - last.at <= span
    }

    /// The most cores that were busy at once, as an average between two samples.
    public var peakCores: Double {
        zip(samples, samples.dropFirst()).reduce(0) { peak, pair in
            let seconds = (pair.1.at - pair.0.at).inSeconds
            // A counter that falls is a process that ended between two looks; its time is not known here.
            return max(peak, seconds > 0 ? max(0, pair.1.cpuSeconds - pair.0.cpuSeconds) / seconds : 0)
        }
    }

    /// The most memory seen.
    public var peakMemory: ByteCount { samples.map(\.memory).max() ?? .zero }
}
