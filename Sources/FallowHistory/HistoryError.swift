internal import GRDB

/// Why the history cannot be read or written: one sentence, with what mends it. The file is never deleted or replaced.
public struct HistoryError: Error, CustomStringConvertible, Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// The disk or quota is full: lending goes on, the history has a gap.
        case full
        case readOnly
        case corrupt
        /// Written by a newer version.
        case newer
        case failed
    }
    public var kind: Kind
    public var description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    init(_ error: any Error, path: String) {
        if let error = error as? HistoryError {
            self = error
            return
        }
        guard let database = error as? DatabaseError else {
            self.init(.failed, "the history \(path): \(error)")
            return
        }
        let words = database.message ?? "SQLite error \(database.resultCode.rawValue)"
        switch database.resultCode {
        case .SQLITE_FULL:
            self.init(.full, "the history \(path) has no room (\(words)): free some, nothing else is needed")
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
            self.init(
                .readOnly,
                "the history \(path) cannot be written (\(words)): state_directory must be on a writable disk")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self.init(
                .corrupt, "the history \(path) is damaged (\(words)): move it away, or restore it from a copy")
        default: self.init(.failed, "the history \(path): \(words)")
        }
    }
}
