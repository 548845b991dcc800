/// A Slurm job id. Array tasks have job ids of their own.
public struct JobID: Hashable, Comparable, Sendable {
    public var number: UInt32
    public init(_ number: UInt32) { self.number = number }
    public static func < (a: JobID, b: JobID) -> Bool { a.number < b.number }
}

/// A Slurm step id within a job, special steps (batch, extern, interactive) included.
public struct StepID: Hashable, Sendable {
    public var number: UInt32
    public init(_ number: UInt32) { self.number = number }

    /// Slurm 22.05's numbers of the special steps.
    public static let batch = StepID(0xffff_fffb)
    public static let extern = StepID(0xffff_fffc)
    public static let interactive = StepID(0xffff_fffa)
}

/// A numeric user id.
public struct UserID: Hashable, Comparable, Sendable {
    public var number: UInt32
    public init(_ number: UInt32) { self.number = number }
    public static let root = UserID(0)
    public static func < (a: UserID, b: UserID) -> Bool { a.number < b.number }
}

/// Slurm's NodeName of a node; not necessarily its host name.
public struct NodeName: Hashable, Comparable, Sendable {
    public var text: String
    public init(_ text: String) { self.text = text }
    public static func < (a: NodeName, b: NodeName) -> Bool { a.text < b.text }
}

/// The name of a lease: 16 hexadecimal digits, unique in a cluster for as long as its history is kept.
public struct LeaseID: Hashable, Sendable {
    public var number: UInt64
    public init(_ number: UInt64) { self.number = number }

    /// - Returns: nil unless the text is exactly 16 hexadecimal digits.
    public init?(parsing text: some StringProtocol) {
        guard text.utf8.count == 16, text.allSatisfy(\.isHexDigit), let number = UInt64(text, radix: 16) else {
            return nil
        }
        self.number = number
    }
}

extension JobID: CustomStringConvertible { public var description: String { "\(number)" } }
extension UserID: CustomStringConvertible { public var description: String { "\(number)" } }
extension NodeName: CustomStringConvertible { public var description: String { text } }
extension StepID: CustomStringConvertible {
    /// `batch`, `extern`, `interactive` or the number, as Slurm's tools print it.
    public var description: String {
        switch self {
        case .batch: "batch"
        case .extern: "extern"
        case .interactive: "interactive"
        default: "\(number)"
        }
    }
}
extension LeaseID: CustomStringConvertible {
    public var description: String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// A value that stands in JSON as its one raw number or text.
private protocol SingleValue: Codable {
    associatedtype Raw: Codable
    init(checking raw: Raw) throws
    var raw: Raw { get }
}
extension SingleValue {
    public init(from decoder: any Decoder) throws {
        try self.init(checking: decoder.singleValueContainer().decode(Raw.self))
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(raw)
    }
}
extension JobID: SingleValue {
    fileprivate init(checking raw: UInt32) { self.init(raw) }
    fileprivate var raw: UInt32 { number }
}
extension StepID: SingleValue {
    fileprivate init(checking raw: UInt32) { self.init(raw) }
    fileprivate var raw: UInt32 { number }
}
extension UserID: SingleValue {
    fileprivate init(checking raw: UInt32) { self.init(raw) }
    fileprivate var raw: UInt32 { number }
}
extension NodeName: SingleValue {
    fileprivate init(checking raw: String) { self.init(raw) }
    fileprivate var raw: String { text }
}
extension LeaseID: SingleValue {
    fileprivate init(checking raw: String) throws {
        guard let id = LeaseID(parsing: raw) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: "'\(raw)' is no lease id: 16 hexadecimal digits are"))
        }
        self = id
    }
    fileprivate var raw: String { description }
}
