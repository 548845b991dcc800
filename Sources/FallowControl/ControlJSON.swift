internal import FallowWire

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// JSON as all our HTTP bodies and seals carry it. Dates are `Timestamp`, that is, integers of nanoseconds.
public enum ControlJSON {
    /// The largest JSON body in either direction that is believed.
    public static let largestBody = 1 << 20
    /// The largest reply: lists of a big cluster.
    public static let largestReply = 64 << 20

    /// - Throws: `WireError` `internalError`: the value holds what JSON cannot (NaN).
    public static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return try encoder.encode(value)
        } catch {
            throw WireError(.internalError, "cannot write \(type(of: value)) as JSON: \(error)")
        }
    }

    /// - Throws: `WireError` `invalid` with the place and what was expected there.
    public static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as DecodingError {
            throw WireError(.invalid, "the body is no \(type): \(sentence(error))")
        } catch {
            throw WireError(.invalid, "the body is no \(type): it is no JSON")
        }
    }

    private static func sentence(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty
                ? "the body" : path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "\(place(context.codingPath + [key])) is missing"
        case .typeMismatch(let type, let context):
            return "\(place(context.codingPath)) should be \(type)"
        case .valueNotFound(let type, let context):
            return "\(place(context.codingPath)) should be \(type), not null"
        case .dataCorrupted(let context):
            return "\(place(context.codingPath)): \(context.debugDescription)"
        @unknown default:
            return "\(error)"
        }
    }
}
