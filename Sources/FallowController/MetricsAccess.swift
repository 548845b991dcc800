internal import FallowControl
internal import FallowWire
internal import Glibc
internal import Hummingbird

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Who may read what carries no seal, `/metrics`: this machine, and whoever shows the reader's token.
struct MetricsAccess: Sendable {
    /// The file that holds the token; nil: only this machine reads.
    let tokenFile: String?

    /// - Throws: `WireError` `refused`, with what would be right.
    func check(_ request: Request, _ context: ControlContext) throws(WireError) {
        if context.isLocal { return }
        guard let tokenFile else {
            throw WireError(
                .refused, "only this machine reads /metrics; controller.reader_token_file names a token for others")
        }
        // Read each time, so that a token is changed without a restart. It is short and rarely asked for.
        let token = (FileManager.default.contents(atPath: tokenFile) ?? Data()).filter { $0 > 0x20 }
        guard token.count >= 16 else {
            throw WireError(
                .refused, "the file of controller.reader_token_file holds no token of 16 characters or more")
        }
        let shown = Data((request.headers[.authorization] ?? "").utf8)
        let wanted = Data("Bearer ".utf8) + token
        guard shown.count == wanted.count, zip(shown, wanted).reduce(0, { $0 | ($1.0 ^ $1.1) }) == 0 else {
            throw WireError(.refused, "/metrics needs the header 'Authorization: Bearer <the reader's token>'")
        }
    }
}
