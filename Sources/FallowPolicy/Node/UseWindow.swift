public import FallowModel

/// What one job used over the last window: the base of `auto` lending.
///
/// CPU use is the largest average over any two samples that follow each other within the window, so a burst between two
/// samples counts as the burst that it was. Nothing is said until the window has been watched whole; a pause in the samples
/// longer than the window, or a clock that goes back, begins the watching anew. Memory is bounded however long the window is:
/// samples that lie close together, measured by the window, are kept as one stretch with their peaks.
public struct UseWindow: Sendable {
    /// The time between two samples, or between several that lie close together.
    private struct Stretch: Sendable {
        var from: Timestamp
        var to: Timestamp
        var peakCores: Double
        var peakMemory: ByteCount
    }

    /// Into so many stretches the window is cut at most, about.
    private static let resolution: Int64 = 128

    /// How far back the window reaches.
    public let span: Duration
    private var stretches: [Stretch] = []
    private var last: (at: Timestamp, cpuSeconds: Double, memory: ByteCount)?

    /// The most cores that were busy at once, as an average between two samples.
    public private(set) var peakCores = 0.0
    /// The most memory seen.
    public private(set) var peakMemory = ByteCount.zero

    public init(span: Duration) { self.span = span }

    /// What is kept: at most about twice `resolution`.
    var stretchCount: Int { stretches.count }

    /// Longest time without a sample after which what was seen still counts: some seconds even for the shortest window.
    private var patience: Duration { max(span, .seconds(5)) }

    /// Adds what was measured: CPU time since the job's start, and memory now. A second sample of one moment is dropped.
    public mutating func add(cpuSeconds: Double, memory: ByteCount, at: Timestamp) {
        if let last, at == last.at { return }
        if let last, at < last.at || at - last.at > patience { restart() }
        if let last {
            // A counter that falls is a process that ended between two looks; its time is not known here.
            let rate = max(0, cpuSeconds - last.cpuSeconds) / (at - last.at).inSeconds
            let memory = max(last.memory, memory)
            if let open = stretches.indices.last,
                (at - stretches[open].from).nanoseconds <= span.nanoseconds / Self.resolution
            {
                stretches[open].to = at
                stretches[open].peakCores = max(stretches[open].peakCores, rate)
                stretches[open].peakMemory = max(stretches[open].peakMemory, memory)
            } else {
                stretches.append(Stretch(from: last.at, to: at, peakCores: rate, peakMemory: memory))
            }
        }
        last = (at, cpuSeconds, memory)
        // The stretch that reaches over the window's beginning is kept, so that its first moment is covered.
        let gone = stretches.prefix { at - $0.to >= span && $0.to < at }.count
        stretches.removeFirst(gone)
        peakCores = stretches.reduce(0) { max($0, $1.peakCores) }
        peakMemory = stretches.reduce(memory) { max($0, $1.peakMemory) }
    }

    /// Forgets everything: the job's use is about to change, because a step starts.
    public mutating func restart() { self = UseWindow(span: span) }

    /// Whether samples cover the whole window up to `now`.
    public func isComplete(at now: Timestamp) -> Bool {
        guard let first = stretches.first, let last else { return false }
        return last.at - first.from >= span && now >= last.at && now - last.at <= patience
    }
}
