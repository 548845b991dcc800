public import FallowModel
public import FallowWire

/// What became of a node's cores and memory over some time, in whole units, so that sums are exact in any order.
///
/// Core time is counted in hundredths of a core-second, memory in MiB-seconds. Every moment of a node falls in one of
/// three: watched by its agent (`capacity`), `down` (Slurm withheld it and no job held anything), or neither.
public struct NodeUse: Sendable, Hashable {
    public enum Field: Int, CaseIterable, Sendable {
        /// Cores × time watched.
        case capacity
        /// Cores × time that Slurm called the node down, drained or powered off, and no job held anything.
        case down
        /// Held by jobs.
        case allocated
        /// CPU time that jobs used.
        case used
        /// Held by leases.
        case lent
        /// CPU time that leases used.
        case recovered
        case memoryCapacity
        case memoryAllocated
        case memoryUsed
        case memoryLent
    }
    private var counts = SIMD16<Int64>()

    public init() {}

    public subscript(field: Field) -> Int64 {
        get { counts[field.rawValue] }
        set { counts[field.rawValue] = newValue }
    }

    public static func + (a: NodeUse, b: NodeUse) -> NodeUse {
        var sum = NodeUse()
        sum.counts = a.counts &+ b.counts
        return sum
    }
    public static func - (a: NodeUse, b: NodeUse) -> NodeUse {
        var difference = NodeUse()
        difference.counts = a.counts &- b.counts
        return difference
    }
    public static func += (a: inout NodeUse, b: NodeUse) { a = a + b }

    public var isZero: Bool { counts == SIMD16<Int64>() }

    /// This times `part` of `whole`, each count rounded down; parts that add up to the whole are had as differences.
    public func scaled(_ part: Int64, of whole: Int64) -> NodeUse {
        guard whole > 0 else { return part > 0 ? self : NodeUse() }
        var result = NodeUse()
        for field in Field.allCases {
            let (high, low) = self[field].multipliedFullWidth(by: part)
            result[field] = whole.dividingFullWidth((high, low)).quotient
        }
        return result
    }

    /// Core-seconds of a field of cores.
    public func coreSeconds(_ field: Field) -> Double { Double(self[field]) / 100 }
    /// Byte-seconds of a field of memory.
    public func byteSeconds(_ field: Field) -> Double { Double(self[field]) * 1_048_576 }
}

extension NodeUse {
    /// An agent's integrals in whole units, of a node with so many cores and so much memory.
    ///
    /// Cumulative values are rounded before they are subtracted, so that no remainder is lost however often it is asked.
    public init(_ integrals: NodeIntegrals, cores: Int, memory: ByteCount) {
        self[.capacity] = Self.hundredths(integrals.elapsedSeconds * Double(cores))
        self[.allocated] = Self.hundredths(integrals.allocatedCoreSeconds)
        self[.used] = Self.hundredths(integrals.usedCoreSeconds)
        self[.lent] = Self.hundredths(integrals.lentCoreSeconds)
        self[.recovered] = Self.hundredths(integrals.recoveredCoreSeconds)
        self[.memoryCapacity] = Self.mebibytes(integrals.elapsedSeconds * Double(memory.bytes))
        self[.memoryAllocated] = Self.mebibytes(integrals.allocatedByteSeconds)
        self[.memoryUsed] = Self.mebibytes(integrals.usedByteSeconds)
        self[.memoryLent] = Self.mebibytes(integrals.lentByteSeconds)
    }

    /// What a job held, used and lent since it was first seen.
    public init(_ job: JobReport) {
        self[.allocated] = Self.hundredths(job.heldCoreSeconds)
        self[.used] = Self.hundredths(job.usedCoreSeconds)
        self[.lent] = Self.hundredths(job.lentCoreSeconds)
        self[.memoryAllocated] = Self.mebibytes(job.heldByteSeconds)
        self[.memoryUsed] = Self.mebibytes(job.usedByteSeconds)
        self[.memoryLent] = Self.mebibytes(job.lentByteSeconds)
    }

    /// Without what fell: of cumulative counts that is somebody's mistake.
    public var withoutFalls: NodeUse {
        var result = self
        for field in Field.allCases where self[field] < 0 { result[field] = 0 }
        return result
    }

    /// Core-seconds as hundredths.
    public static func hundredths(_ coreSeconds: Double) -> Int64 { whole(coreSeconds * 100) }
    /// Byte-seconds as MiB-seconds.
    public static func mebibytes(_ byteSeconds: Double) -> Int64 { whole(byteSeconds / 1_048_576) }

    /// Not a number and what is below zero count as nothing; beyond 2^60 nothing is believed.
    private static func whole(_ value: Double) -> Int64 { value > 0 ? Int64(min(value, 1.15e18)) : 0 }
}
