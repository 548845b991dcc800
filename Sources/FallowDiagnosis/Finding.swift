/// One thing that doctor looked at.
public struct Finding: Encodable, Hashable, Sendable {
    public enum Grade: String, Encodable, Comparable, Sendable {
        case good, warning, broken
        public var word: String { ["good": "ok    ", "warning": "warn  ", "broken": "BROKEN"][rawValue]! }
        private var rank: Int { [.good: 0, .warning: 1, .broken: 2][self]! }
        public static func < (a: Grade, b: Grade) -> Bool { a.rank < b.rank }
    }
    public var grade: Grade
    public var subject: String
    public var sentence: String
    /// The command or the line that mends it; whatever is not good has one.
    public var mend: String?

    public init(_ grade: Grade, _ subject: String, _ sentence: String, mend: String? = nil) {
        self.grade = grade
        self.subject = subject
        self.sentence = sentence
        self.mend = mend
    }
}

extension [Finding] {
    /// 0: all is well; 1: there are warnings; 2: something is broken.
    public var exitStatus: Int32 {
        switch map(\.grade).max() {
        case .broken: 2
        case .warning: 1
        default: 0
        }
    }
}
