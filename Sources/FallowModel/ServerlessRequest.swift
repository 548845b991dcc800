/// What a job said with `--serverless`: how much of it may be lent.
public enum ServerlessRequest: Hashable, Sendable {
    /// Nothing of this job is lent, whatever the site's policy says.
    case no
    /// What is measured unused.
    case auto
    /// Cores and memory that the job promises not to use; nil in either: what is measured unused.
    case explicit(cores: Int?, memory: ByteCount?, reserve: Reserve?)

    /// Memory that is left to the job on top of what it is measured to use.
    public enum Reserve: Hashable, Sendable {
        case amount(ByteCount)
        case percent(Int)
    }
}

extension ServerlessRequest: CustomStringConvertible {
    /// The option's own form: `auto`, `no`, `cpus=2,mem=4G,reserve-mem=10%`.
    public var description: String {
        switch self {
        case .no: return "no"
        case .auto: return "auto"
        case .explicit(let cores, let memory, let reserve):
            var parts = ["cpus=" + (cores.map { "\($0)" } ?? "auto")]
            parts.append("mem=" + (memory.map { $0.optionText } ?? "auto"))
            switch reserve {
            case .amount(let amount): parts.append("reserve-mem=" + amount.optionText)
            case .percent(let percent): parts.append("reserve-mem=\(percent)%")
            case nil: break
            }
            return parts.joined(separator: ",")
        }
    }
}

extension ByteCount {
    /// The amount as Slurm's options take it: `4G`, `512M`, or plain bytes when no unit divides it.
    public var optionText: String {
        for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] as [(Int64, String)]
        where bytes != 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}
