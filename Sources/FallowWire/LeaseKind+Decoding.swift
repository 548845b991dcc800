internal import FallowModel

extension KeyedDecodingContainer {
    /// Peers that know of no kinds lease functions: an absent kind is that. Found by the synthesised decoders of this module.
    func decode(_ type: LeaseKind.Type, forKey key: Key) throws -> LeaseKind {
        try decodeIfPresent(type, forKey: key) ?? .functions
    }
}
