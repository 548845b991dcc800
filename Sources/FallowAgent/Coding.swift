internal import FallowModel
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// The value as one line of JSON.
func encodeJSON(_ value: some Encodable) throws -> [UInt8] { Array(try JSONEncoder().encode(value)) }

/// A value out of JSON.
func decodeJSON<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    try JSONDecoder().decode(type, from: Data(bytes))
}

/// What is wrong with a message, in a few words and with the place in it.
func describe(_ error: any Error) -> String {
    func place(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? "" : " in \(path)"
    }
    switch error {
    case DecodingError.keyNotFound(let key, let context): return "'\(key.stringValue)' is missing\(place(context))"
    case DecodingError.typeMismatch(let type, let context): return "a \(type) is expected\(place(context))"
    case DecodingError.valueNotFound(let type, let context): return "a \(type) is expected\(place(context)), not null"
    case DecodingError.dataCorrupted(let context): return context.debugDescription + place(context)
    default: return "\(error)"
    }
}

extension Timestamp {
    /// The wall clock now.
    static func current() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanosecondsSinceEpoch: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

/// The names in a folder; none when it cannot be read.
func filesInDirectory(_ path: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
}

/// Removes a file; harmless when there is none.
func removeFile(_ path: String) { unlink(path) }

/// Fallow's version, the same in all its programs.
let fallowVersion = "0.1.0"
