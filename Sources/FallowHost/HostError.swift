internal import Glibc

/// What this machine refused, with the file it is about.
public struct HostError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// What was asked for makes no sense, or not here; the sentence says what would be right.
        case badRequest
        /// The kernel or its configuration lacks something: a cgroup controller, a hierarchy.
        case unsupported
        /// The caller's rights do not suffice.
        case notPermitted
        /// There is no such thing: user, file, process, cgroup.
        case notFound
        /// It is there already.
        case exists
        /// Processes are still inside.
        case busy
        /// A bounded wait ended first.
        case timedOut
        /// Any other refusal; `errorNumber` says why.
        case system
    }
    public var code: Code
    /// What was wrong and, where it helps, what would be right.
    public var sentence: String
    /// The file or folder it is about.
    public var path: String?
    /// The errno behind it, 0 when there is none.
    public var errorNumber: Int32

    public init(_ code: Code, _ sentence: String, path: String? = nil, errorNumber: Int32 = 0) {
        self.code = code
        self.sentence = sentence
        self.path = path
        self.errorNumber = errorNumber
    }

    public var description: String {
        var text = sentence
        if let path { text += " (\(path))" }
        if errorNumber != 0 { text += ": \(String(cString: strerror(errorNumber)))" }
        return text
    }

    /// For a failed system call; picks the code from errno.
    static func system(_ sentence: String, path: String? = nil, _ errorNumber: Int32) -> HostError {
        let code: Code =
            switch errorNumber {
            case EACCES, EPERM, EROFS: .notPermitted
            case ENOENT, ESRCH, ENODEV: .notFound
            case EEXIST: .exists
            case EBUSY, ENOTEMPTY: .busy
            case ETIMEDOUT: .timedOut
            default: .system
            }
        return HostError(code, sentence, path: path, errorNumber: errorNumber)
    }
}
