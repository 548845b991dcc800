internal import FallowModel
internal import FallowReporting
internal import FallowWire

/// `GET /web/series`: what the charts are drawn from. Cores, seconds since 1970, and shares in percent.
struct SeriesData: Codable, Sendable {
    var since: Double
    var stepSeconds: Int64
    /// Cores on average, step by step: these add up to all cores that are known of.
    var used: [Double]
    var recovered: [Double]
    /// Held by jobs, or by nobody, and not recovered.
    var white: [Double]
    /// Of the white and the recovered: what jobs held.
    var held: [Double]
    var down: [Double]
    var unwatched: [Double]
    /// Held by leases, whether they computed or not.
    var lent: [Double]
    var rows: [Row]
    var nodeGaps: GapHistogram
    var coreGaps: GapHistogram

    /// One line of the heat map: percent of what was watched; -1 where nothing was.
    struct Row: Codable, Sendable {
        var name: String
        var used: [Int]
        var lent: [Int]
        var held: [Int]
    }

    /// - Parameter until: the moment of the question: the step that it falls into has just begun.
    init(_ series: CapacitySeries, until: Timestamp, showsNodes: Bool) {
        since = series.since.secondsSinceEpoch
        stepSeconds = series.stepSeconds
        let origin = series.since
        let lengths = series.steps.indices.map { index in
            let begin = origin + .seconds(Int64(index) * series.stepSeconds)
            return max(1, min(Double(series.stepSeconds), (until - begin).inSeconds))
        }
        func cores(_ value: (CapacityUse) -> Double) -> [Double] {
            zip(series.steps, lengths).map { (value($0) / $1 * 100).rounded() / 100 }
        }
        used = cores(\.usedCoreSeconds)
        recovered = cores { min($0.recoveredCoreSeconds, $0.whiteCoreSeconds) }
        white = cores { max(0, $0.whiteCoreSeconds - $0.recoveredCoreSeconds) }
        held = cores(\.unusedCoreSeconds)
        down = cores(\.downCoreSeconds)
        unwatched = cores(\.unwatchedCoreSeconds)
        lent = cores(\.lentCoreSeconds)
        rows = showsNodes ? series.rows.map(Row.init) : []
        nodeGaps = GapHistogram(series.nodeGaps)
        coreGaps = GapHistogram(series.coreGaps)
    }
}

extension CapacityUse {
    /// Watched, and used by no job.
    var whiteCoreSeconds: Double { unusedCoreSeconds + unallocatedCoreSeconds }
}

extension SeriesData.Row {
    init(_ row: CapacitySeries.Row) {
        name =
            row.nodeCount == 1 ? row.first.text : "\(row.first.text) … \(row.last.text) (\(row.nodeCount) nodes)"
        func percent(_ field: NodeUse.Field) -> [Int] {
            row.steps.map { step in
                let all = step[.capacity]
                return all > 0 ? Int(min(100, Double(step[field]) / Double(all) * 100).rounded()) : -1
            }
        }
        used = percent(.used)
        lent = percent(.lent)
        held = percent(.allocated)
    }
}
