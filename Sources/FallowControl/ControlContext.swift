public import FallowModel
public import FallowWire
internal import Foundation
public import Hummingbird
internal import NIOCore

/// Who makes a request, by munged's word.
public struct Caller: Sendable, Hashable {
    public var user: UserID
    public var group: UInt32
    /// The node that the seal names; only to be believed of a daemon.
    public var node: NodeName?
    /// The uid is one of munge.trusted_uids and the seal names a node.
    public var isDaemon: Bool
}

/// A request's context: Hummingbird's own, and who calls.
public struct ControlContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// Set by `SealMiddleware`; nil on the open routes.
    public internal(set) var caller: Caller?
    /// Of the session that the request belongs to; nil where it was sealed by MUNGE.
    var sessionKey: SessionKey?
    /// What the seal says the body's SHA-256 is.
    var sealedBodyDigest: String?
    /// The connection comes from this machine, over its loopback.
    public let isLocal: Bool

    public init(source: Source) {
        coreContext = CoreRequestContextStorage(source: source)
        let address = source.channel.remoteAddress?.ipAddress ?? ""
        isLocal = address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
    }

    /// - Throws: `WireError` `refused`: the request carried no seal.
    public func requireCaller() throws(WireError) -> Caller {
        guard let caller else { throw WireError(.refused, "this request needs a seal (\(Seal.header))") }
        return caller
    }

    /// - Throws: `WireError` `refused`: the caller is no daemon.
    public func requireDaemon() throws(WireError) -> (caller: Caller, node: NodeName) {
        let caller = try requireCaller()
        guard caller.isDaemon, let node = caller.node else {
            throw WireError(.refused, "only fallow's daemons may ask for this; uid \(caller.user) is none of them")
        }
        return (caller, node)
    }

    /// Text for the reply that only the caller can read (`SealedClient.read`); nil where the request belongs to no session, so that
    /// MUNGE has to hide it.
    public func letter(_ plain: some Sequence<UInt8>) -> String? {
        sessionKey.map { SessionLetter(Array(plain), key: $0).text }
    }

    /// A parameter of the route's path, percent-decoded.
    ///
    /// - Throws: `WireError` `invalid`.
    public func parameter(_ name: String) throws(WireError) -> String {
        guard let text = parameters.get(name), let plain = text.removingPercentEncoding, !plain.isEmpty else {
            throw WireError(.invalid, "the path lacks its \(name)")
        }
        return plain
    }
}
